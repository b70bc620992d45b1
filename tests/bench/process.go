package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a running program that said where it listens.
type process struct {
	cmd     *exec.Cmd
	pid     int
	address string
	started time.Duration // from the start to the line that says so
	said    tail          // on standard error after that, to be read when it has ended
	done    chan struct{}
}

// tail keeps the end of what is written.
type tail []byte

// Write keeps 1 KiB.
func (t *tail) Write(text []byte) (int, error) {
	*t = append(*t, text...)
	*t = (*t)[max(0, len(*t)-1024):]
	return len(text), nil
}

// bench is what all measurements share.
type bench struct {
	options

	ctx         context.Context
	dir         string
	backend     *process
	running     []*process
	serial      int
	servers     map[string]string   // paths of the programs, as scripts/brokers/ensure names them
	brokers     map[string]*process // by carrier; started for the first that needs one
	closers     []func()            // of the brokers
	asynqBinary string
}

func (b *bench) close() error {
	for _, p := range b.running {
		p.kill()
	}
	for _, end := range b.closers {
		end()
	}
	return os.RemoveAll(b.dir)
}

// startChild starts this program in one of its other parts.
func (b *bench) startChild(part string, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return b.start(exec.CommandContext(b.ctx, self, append([]string{"child", part}, args...)...))
}

// startTimeout is how long a program may take to say where it listens, also on a queue of a million.
const startTimeout = time.Minute

// start waits for a JSON line with the member "address" on standard error.
func (b *bench) start(cmd *exec.Cmd) (*process, error) {
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, pid: cmd.Process.Pid, done: make(chan struct{})}
	b.running = append(b.running, p)
	late := time.AfterFunc(startTimeout, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	lines := bufio.NewReader(stderr)
	var said strings.Builder
	for p.address == "" {
		line, err := lines.ReadString('\n')
		said.WriteString(line)
		if err != nil {
			close(p.done)
			return nil, errors.Join(fmt.Errorf("%s did not start: %s", cmd.Path, said.String()), cmd.Wait())
		}
		var event struct {
			Address string `json:"address"`
		}
		if json.Unmarshal([]byte(line), &event) == nil {
			p.address = event.Address
		}
	}
	p.started = time.Since(began)
	go func() {
		defer close(p.done)
		_, _ = io.Copy(&p.said, lines)
		_ = cmd.Wait()
	}()
	return p, nil
}

// stop ends the process in its orderly way.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	<-p.done
}

// kill ends it at once.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// clockTick is USER_HZ, the unit of times in /proc: 100 on Linux (proc_pid_stat(5)).
const clockTick = 10 * time.Millisecond

// cpuOf is the user and system time that processes have used, their ended children included: Redis rewrites its file
// in one. A nil process has used none.
func cpuOf(processes []*process) (time.Duration, error) {
	var ticks int64
	for _, p := range processes {
		if p == nil {
			continue
		}
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
		if err != nil {
			return 0, err
		}
		// After the name in parentheses: utime, stime, cutime and cstime are fields 14 to 17, counted from 1.
		for _, field := range strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))[11:15] {
			n, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				return 0, err
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * clockTick, nil
}

// resident is the memory of the process in bytes.
func (p *process) resident() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.pid))
	if err != nil {
		return 0, err
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}
