package testkit

import (
	"syscall"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// LimitFiles sets how many files the process may have open, and returns how many it might before. Those that are open
// stay open.
func (p *Process) LimitFiles(n uint64) (before uint64) {
	p.tb.Helper()
	var old syscall.Rlimit
	limit := syscall.Rlimit{Cur: n, Max: n}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(p.cmd.Process.Pid), syscall.RLIMIT_NOFILE, 0,
		uintptr(unsafe.Pointer(&old)), 0, 0) //nolint:gosec // how the system call takes it
	require.Zero(p.tb, errno)
	limit.Max = old.Max // only root may raise it again
	_, _, errno = syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(p.cmd.Process.Pid), syscall.RLIMIT_NOFILE,
		uintptr(unsafe.Pointer(&limit)), 0, 0, 0) //nolint:gosec // how the system call takes it
	require.Zero(p.tb, errno)
	return old.Cur
}
