package broker_test

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"reckoner/internal/embedded/broker"
	"reckoner/internal/embedded/broker/brokertest"
)

func TestDirectoryIsForOneBroker(t *testing.T) {
	dir := t.TempDir()
	first := brokertest.Open(t, broker.Options{Dir: dir, Listen: "127.0.0.1:0"})
	second, err := broker.Open(t.Context(), broker.Options{Dir: dir, Listen: "127.0.0.1:0"})
	if err == nil {
		second.Close()
		t.Fatal("a second broker opened the directory")
	}
	var inUse *broker.InUseError
	if !errors.As(err, &inUse) || inUse.Dir != dir || inUse.PID != os.Getpid() {
		t.Fatalf("got %v, want the directory and this process named", err)
	}
	if !strings.Contains(err.Error(), "choose another --data-dir") {
		t.Errorf("no remedy in %q", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	brokertest.Open(t, broker.Options{Dir: dir, Listen: "127.0.0.1:0"})
}

func TestTakenPortIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	b, err := broker.Open(t.Context(), broker.Options{Dir: dir, Listen: l.Addr().String()})
	if err == nil {
		b.Close()
		t.Fatal("opened on a taken port")
	}
	if !strings.Contains(err.Error(), l.Addr().String()) || !strings.Contains(err.Error(), "--kafka-listen") {
		t.Errorf("got %q, want address and remedy", err)
	}
	// The failure must not keep the directory.
	brokertest.Open(t, broker.Options{Dir: dir, Listen: "127.0.0.1:0"})
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]broker.Options{
		"no directory":        {Listen: "127.0.0.1:0"},
		"no port":             {Dir: t.TempDir(), Listen: "localhost"},
		"port is no number":   {Dir: t.TempDir(), Listen: "127.0.0.1:kafka"},
		"port is too large":   {Dir: t.TempDir(), Listen: "127.0.0.1:65536"},
		"directory is a file": {Dir: file(t), Listen: "127.0.0.1:0"},
	} {
		if b, err := broker.Open(t.Context(), o); err == nil {
			b.Close()
			t.Errorf("%s: opened", name)
		}
	}
}

func file(t *testing.T) string {
	path := t.TempDir() + "/file"
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBrokersListenSideBySide(t *testing.T) {
	b := brokertest.Open(t, broker.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", Brokers: 3})
	seen := map[string]bool{}
	for _, addr := range b.Addrs() {
		seen[addr] = true
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	if len(seen) != 3 || b.Addr() != b.Addrs()[0] {
		t.Errorf("addresses %v", b.Addrs())
	}
}

// TestStrayBytes speaks no Kafka to the port. kfake alone would reserve a gigabyte, or panic.
func TestStrayBytes(t *testing.T) {
	b := brokertest.Start(t)
	for name, bytes := range map[string]string{
		"http":         "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"tls":          "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"unknown kind": "\x00\x00\x00\x0c\x7f\xff\x00\x00\x00\x00\x00\x01\xff\xff\x00\x00",
		"empty":        "\x00\x00\x00\x00\x00\x00",
		"short body":   "\x00\x00\x00\x08\x00\x12\x00\x00\x00\x00\x00\x01",
		"broken body":  "\x00\x00\x00\x10\x00\x00\x00\x03\x00\x00\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", b.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Write([]byte(bytes)); err != nil {
				t.Fatal(err)
			}
			_ = c.(*net.TCPConn).CloseWrite() // fails when the broker has ended the connection already
			if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
				t.Fatal(err)
			}
			var timeout net.Error
			for buf := make([]byte, 1024); err == nil; {
				_, err = c.Read(buf)
			}
			if errors.As(err, &timeout) && timeout.Timeout() {
				t.Error("the broker kept the connection")
			}
		})
	}
	// It still listens.
	c, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestCloseTwice(t *testing.T) {
	b := brokertest.Start(t)
	for range 2 {
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if c, err := net.Dial("tcp", b.Addr()); err == nil {
		c.Close()
		t.Error("a closed broker listens")
	}
}

func TestPauseEndsWithTheBroker(t *testing.T) {
	b := brokertest.Start(t)
	pause := b.PauseProduce()
	c, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("\x00\x00\x00\x10\x00\x00\x00\x09\x00\x00\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff")); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); pause.Held() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the request was not held")
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 8)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a held request got %d bytes, %v", n, err)
	}
	pause.Resume()
}
