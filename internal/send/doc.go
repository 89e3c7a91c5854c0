// Package send reports a file of usage and reverts over HTTP, as a producer would.
//
// # What it guarantees
//
//   - A line counts as delivered only when the server said that it is durable, or decided it.
//   - The lines of one account are delivered in the order of the file: an account always has the same worker, a worker
//     has one request under way, and a revert is sent only after its usage's batch was answered.
//   - After refused usages the account's later lines are held back, never sent: a revert sent without its usage would be
//     answered `unknown_usage`, and an id always gets the same answer.
//   - Nothing is sent from a file with an invalid line.
//
// Every line carries its own id, so that sending a line again never counts it twice. That is what makes a resumed run
// safe: it starts at the first line that is not known to be delivered, and may send some again.
//
// What an earlier run delivered is believed only after the server has shown that it still has it: two delivered usages,
// the first and the last, are sent again and must be answered as repetitions. Anything else (a server without its data,
// another one at the same address, an outcome that does not come) sends every line again. Where a server went back to an
// older state, the last delivered usage then comes before its account's other lost lines.
package send
