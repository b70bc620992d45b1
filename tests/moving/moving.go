// Package moving bounds a wait by progress in place of time: it goes on for as long as something moves, however slow
// the machine is, and ends when nothing does.
package moving

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"time"
)

// looks is how often While compares within idle. It counts these looks and not the time: while the machine leaves us no
// time to look, it leaves none to what we wait for either.
const looks = 50

// While returns a context that ends with ctx, or as soon as progress has returned the same number for idle; its cause
// says so. progress is called by a goroutine of its own, which cancel ends and waits for.
func While(
	ctx context.Context, idle time.Duration, progress func() int64,
) (watched context.Context, cancel context.CancelFunc) {
	watched, end := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if stopped(watched, idle, progress) {
			end(fmt.Errorf("nothing has moved for %s", idle))
		}
	}()
	return watched, func() {
		end(context.Canceled)
		<-ended
	}
}

// stopped blocks until nothing moves any more, or ctx has ended: false.
func stopped(ctx context.Context, idle time.Duration, progress func() int64) bool {
	ticker := time.NewTicker(idle / looks)
	defer ticker.Stop()
	last := progress()
	for still := 0; still < looks; still++ {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
		if now := progress(); now != last {
			last, still = now, -1
		}
	}
	return true
}

// CPU returns how many whole seconds a process has run on a CPU; 0 where the system has no /proc. One that starts or
// ends makes progress by it, and one that idles hardly does.
func CPU(pid int) int64 {
	const ticksPerSecond = 100 // USER_HZ, the same on all architectures that Go supports
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// See proc(5): behind the name, which may contain anything, user and system time are the 12th and 13th field.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(string(fields[11]), 10, 64) // the kernel writes numbers
	system, _ := strconv.ParseInt(string(fields[12]), 10, 64)
	return (user + system) / ticksPerSecond
}
