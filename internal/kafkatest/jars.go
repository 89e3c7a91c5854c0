package kafkatest

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// javaLeast is the least version of Java that the brokers run on.
const javaLeast = 17

//go:embed pom.xml
var pom []byte

// jars returns the folder with Kafka's libraries in the user's cache. Maven fetches them when they are not there yet.
func jars(ctx context.Context) (string, error) {
	if err := java(ctx); err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("the cache for Apache Kafka: %w", err)
	}
	cache = filepath.Join(cache, "reckoner")
	dir := filepath.Join(cache, fmt.Sprintf("kafka-%x", sha256.Sum256(pom))[:22])
	if _, err := os.Stat(dir); err == nil {
		return dir, nil // it got its name when it was complete
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("the cache for Apache Kafka: %w", err)
	}
	if err := fetch(ctx, cache, dir); err != nil {
		return "", fmt.Errorf("fetch Apache Kafka: %w", err)
	}
	return dir, nil
}

// java checks that there is a Java that can run the brokers and compile Admin.
func java(ctx context.Context) error {
	for _, tool := range []string{"java", "javac"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s is missing: install a JDK, version %d or newer: %w", tool, javaLeast, err)
		}
	}
	out, err := exec.CommandContext(ctx, "javac", "-version").Output()
	if err != nil {
		return fmt.Errorf("ask javac for its version: %w", err)
	}
	text := strings.TrimPrefix(strings.TrimSpace(string(out)), "javac ")
	major, _, _ := strings.Cut(text, ".")
	if n, err := strconv.Atoi(major); err != nil || n < javaLeast {
		return fmt.Errorf("this is Java %s, Apache Kafka needs %d or newer", text, javaLeast)
	}
	return nil
}

// fetch runs Maven into a folder beside the final one, which a rename then completes: whoever is first wins, and a
// fetch that was cut short leaves nothing that looks complete.
func fetch(ctx context.Context, cache, dir string) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return fmt.Errorf("mvn is missing: install Maven: %w", err)
	}
	work, err := os.MkdirTemp(cache, "kafka-fetch-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }() // after a success it is empty
	file, into := filepath.Join(work, "pom.xml"), filepath.Join(work, "jars")
	if err := os.WriteFile(file, pom, 0o644); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, mvn, "-B", "-q", "-f", file, "dependency:copy-dependencies", "-DoutputDirectory="+into).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mvn dependency:copy-dependencies: %w\n%s", err, out)
	}
	if err := os.Rename(into, dir); err != nil {
		if _, other := os.Stat(dir); other != nil {
			return errors.Join(err, other)
		}
	}
	return nil
}
