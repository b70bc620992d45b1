package bootstrap

import (
	"bufio"
	"bytes"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// hierarchy is a tree of control groups that may limit memory, as /proc/self/mountinfo shows it. See cgroups(7).
type hierarchy struct {
	mount string // where it is mounted
	root  string // the group at the mount point
	v2    bool
}

// noLimit is where a limit of version 1 means none: the kernel rounds its largest number down to whole pages.
const noLimit = 1 << 60

// cgroupLimit returns the smallest memory limit of the control groups that the process is in, version 1 and 2, and the
// file that holds it. Each group on the path to the process may have one. 0: there is none.
func cgroupLimit(root fs.FS) (limit int64, file string) {
	groups := ownGroups(root)
	for _, h := range hierarchies(root) {
		group, known := groups[h.v2]
		if !known {
			continue
		}
		names := []string{"memory.limit_in_bytes"}
		if h.v2 {
			names = []string{"memory.max", "memory.high"} // above high the process is slowed down
		}
		for _, dir := range h.path(group) {
			for _, name := range names {
				if n := readLimit(root, path.Join(dir, name)); n > 0 && (limit == 0 || n < limit) {
					limit, file = n, path.Join(dir, name)
				}
			}
		}
	}
	return limit, file
}

// ownGroups returns the groups of the process: that of version 2, and that of version 1 which counts memory.
func ownGroups(root fs.FS) map[bool]string {
	groups := make(map[bool]string, 2)
	for line := range lines(root, "proc/self/cgroup") { // hierarchy-ID:controllers:path
		parts := strings.SplitN(line, ":", 3)
		switch {
		case len(parts) != 3:
		case parts[0] == "0" && parts[1] == "":
			groups[true] = parts[2]
		case slices.Contains(strings.Split(parts[1], ","), "memory"):
			groups[false] = parts[2]
		}
	}
	return groups
}

// hierarchies returns the mounted trees that may limit memory.
func hierarchies(root fs.FS) []hierarchy {
	var found []hierarchy
	for line := range lines(root, "proc/self/mountinfo") { // see proc_pid_mountinfo(5)
		before, after, _ := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if len(fields) < 5 || len(kind) < 3 {
			continue
		}
		h := hierarchy{root: fields[3], mount: fields[4], v2: kind[0] == "cgroup2"}
		if h.v2 || kind[0] == "cgroup" && slices.Contains(strings.Split(kind[2], ","), "memory") {
			found = append(found, h)
		}
	}
	return found
}

// path returns the directories from the group up to the mount point. A container may see its own group at the mount
// point while the group's path is that of the host: then only the mount point counts.
func (h hierarchy) path(group string) []string {
	below, inside := strings.CutPrefix(group, strings.TrimSuffix(h.root, "/"))
	if !inside || strings.HasPrefix(group, "/..") {
		below = ""
	}
	var dirs []string
	for below = path.Clean("/" + below); below != "/"; below = path.Dir(below) {
		dirs = append(dirs, path.Join(h.mount, below))
	}
	return append(dirs, h.mount)
}

// readLimit returns the limit in a file; 0: none.
func readLimit(root fs.FS, file string) int64 {
	content, err := fs.ReadFile(root, strings.TrimPrefix(file, "/"))
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(content)), 10, 64) // not a number: "max"
	if err != nil || n >= noLimit {
		return 0
	}
	return n
}

// lines visits the lines of a file. One that cannot be read has none.
func lines(root fs.FS, file string) func(func(string) bool) {
	return func(visit func(string) bool) {
		content, err := fs.ReadFile(root, file)
		if err != nil {
			return
		}
		for scanner := bufio.NewScanner(bytes.NewReader(content)); scanner.Scan(); {
			if !visit(scanner.Text()) {
				return
			}
		}
	}
}
