package bootstrap

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestTheMemoryLimitOfControlGroupsIsFound(t *testing.T) {
	t.Parallel()
	const (
		mountsV1 = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs none rw,mode=755\n" +
			"35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup none rw,memory\n" +
			"33 31 0:30 / /sys/fs/cgroup/cpu rw,relatime - cgroup none rw,cpu\n"
		mountsV2  = "41 31 0:38 / /sys/fs/cgroup rw,relatime - cgroup2 none rw,nsdelegate\n"
		container = "41 31 0:38 /docker/abc /sys/fs/cgroup/memory ro - cgroup none rw,memory\n"
		unlimited = "9223372036854771712\n"
	)
	tests := []struct {
		name  string
		files map[string]string
		want  int64
		file  string
	}{
		{"no control groups", nil, 0, ""},
		{"version 2, in the process's own group", map[string]string{
			"proc/self/cgroup": "0::/app.slice/openhqm\n", "proc/self/mountinfo": mountsV2,
			"sys/fs/cgroup/app.slice/openhqm/memory.max": "268435456\n", "sys/fs/cgroup/app.slice/memory.max": "max\n",
		}, 256 << 20, "/sys/fs/cgroup/app.slice/openhqm/memory.max"},
		{"version 2, in the group above, which is smaller", map[string]string{
			"proc/self/cgroup": "0::/app.slice/openhqm\n", "proc/self/mountinfo": mountsV2,
			"sys/fs/cgroup/app.slice/openhqm/memory.max": "268435456\n", "sys/fs/cgroup/app.slice/memory.max": "134217728\n",
		}, 128 << 20, "/sys/fs/cgroup/app.slice/memory.max"},
		{"version 2, slowed down below its limit", map[string]string{
			"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": mountsV2,
			"sys/fs/cgroup/memory.max": "268435456\n", "sys/fs/cgroup/memory.high": "134217728\n",
		}, 128 << 20, "/sys/fs/cgroup/memory.high"},
		{"version 1", map[string]string{
			"proc/self/cgroup": "4:memory:/a/b\n1:cpu:/x\n0::/\n", "proc/self/mountinfo": mountsV1,
			"sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": unlimited,
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes":   "268435456\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":     unlimited,
		}, 256 << 20, "/sys/fs/cgroup/memory/a/memory.limit_in_bytes"},
		{"version 1 in a container, which has its group at the mount point", map[string]string{
			"proc/self/cgroup": "4:cpu,memory:/docker/abc\n", "proc/self/mountinfo": container,
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "268435456\n",
		}, 256 << 20, "/sys/fs/cgroup/memory/memory.limit_in_bytes"},
		{"a path of another namespace", map[string]string{
			"proc/self/cgroup": "0::/../../other\n", "proc/self/mountinfo": mountsV2,
			"sys/fs/cgroup/memory.max": "268435456\n",
		}, 256 << 20, "/sys/fs/cgroup/memory.max"},
		{"no limit", map[string]string{
			"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": mountsV2, "sys/fs/cgroup/memory.max": "max\n",
		}, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files := fstest.MapFS{}
			for name, content := range tt.files {
				files[name] = &fstest.MapFile{Data: []byte(content)}
			}
			limit, file := cgroupLimit(files)
			require.Equal(t, tt.want, limit)
			require.Equal(t, tt.file, file)
		})
	}
}
