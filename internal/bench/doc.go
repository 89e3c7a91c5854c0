// Package bench measures what the performance goals are about. Each row stands beside a floor: the same bytes through
// the same engines with nothing of ours in between, measured in the same run, in turns. What is measured is the real
// thing: the processes of package app, over their ports.
package bench
