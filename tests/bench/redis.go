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
	return b.startServer(func(address string) (*exec.Cmd, error) {
		host, port, err := net.SplitHostPort(address)
		return exec.CommandContext(b.ctx, b.servers["redis-server"],
			"--bind", host, "--port", port, "--dir", dir, "--save", "", "--loglevel", "warning",
			"--appendonly", "yes", "--appendfsync", "everysec"), err
	}, func(ctx context.Context, address string) bool {
		pong, err := ask(ctx, address, "PING")
		return err == nil && pong == "PONG"
	})
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

// commands is how many commands the Redis of a store has processed, those inside scripts and this question included; 0:
// it has none.
func (s *store) commands(ctx context.Context) (int, error) {
	if s.redis == nil {
		return 0, nil
	}
	text, err := ask(ctx, s.redis.address, "INFO stats")
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
