package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// startRedis starts a Redis that keeps everything on disk, written at once and synced once a second: what it is mostly
// deployed with.
func (b *bench) startRedis(dir string) (*process, error) {
	var fault error
	for range 5 { // the port is free when it is chosen, and may be taken before Redis has it
		address, err := freeAddress(b.ctx)
		if err != nil {
			return nil, err
		}
		_, port, _ := net.SplitHostPort(address)
		p := &process{address: address, done: make(chan struct{}), cmd: exec.CommandContext(b.ctx, b.redisServer,
			"--bind", "127.0.0.1", "--port", port, "--dir", dir, "--save", "", "--loglevel", "warning",
			"--appendonly", "yes", "--appendfsync", "everysec")}
		began := time.Now()
		if err := p.cmd.Start(); err != nil {
			return nil, err
		}
		p.pid = p.cmd.Process.Pid
		b.running = append(b.running, p)
		go func() {
			defer close(p.done)
			_ = p.cmd.Wait() // that it ended is all there is to know
		}()
		if fault = p.answers(b.ctx); fault == nil {
			p.started = time.Since(began)
			return p, nil
		}
		p.kill()
	}
	return nil, fault
}

func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// answers waits until a Redis takes commands, or has ended.
func (p *process) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-p.done:
			return errors.New("redis-server does not start")
		case <-ctx.Done():
			return fmt.Errorf("redis-server does not answer: %w", ctx.Err())
		case <-ticker.C:
			if pong, err := ask(ctx, p.address, "PING"); err == nil && pong == "PONG" {
				return nil
			}
		}
	}
}

// ask sends Redis one inline command, whose answer is a string or a number (the RESP2 protocol, redis.io).
func ask(ctx context.Context, address, command string) (string, error) {
	c, err := connect(ctx, address)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return "", err
	}
	if _, err := c.Write([]byte(command + "\r\n")); err != nil {
		return "", err
	}
	line, err := c.reader.ReadString('\n')
	if err != nil {
		return "", err
	}
	kind, line := line[0], strings.TrimSpace(line[1:])
	switch kind {
	case '+', ':':
		return line, nil
	case '$':
		length, err := strconv.Atoi(line)
		if err != nil || length < 0 {
			return "", fmt.Errorf("%s: bulk string of length %q", command, line)
		}
		text := make([]byte, length)
		_, err = io.ReadFull(c.reader, text)
		return string(text), err
	default:
		return "", fmt.Errorf("%s: %c%s", command, kind, line)
	}
}

// commands is how many commands a Redis has processed, those inside scripts and this question included.
func commands(ctx context.Context, address string) (int, error) {
	text, err := ask(ctx, address, "INFO stats")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines([]byte(text)) {
		if number, ok := bytes.CutPrefix(line, []byte("total_commands_processed:")); ok {
			return strconv.Atoi(string(bytes.TrimSpace(number)))
		}
	}
	return 0, errors.New("no total_commands_processed in INFO")
}
