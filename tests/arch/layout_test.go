package arch_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// topLevel returns all names at the top of the repository that do not begin with a dot.
func topLevel() []string {
	return []string{
		"LICENSE", "README.md", "Taskfile.yml", "adapters", "application", "bootstrap", "configs", "domain", "go.mod",
		"go.sum", "ports", "scripts", "tests",
	}
}

func TestTheTopLevelHasOnlyWhatIsListed(t *testing.T) {
	t.Parallel()
	dir := root(t)
	git := exec.CommandContext(t.Context(), "git", "ls-files", "-z")
	git.Dir = dir
	tracked, err := git.Output()
	if err != nil && os.Getenv("CI") == "" {
		t.Skipf("git cannot list the files of the repository: %v", err)
	}
	require.NoError(t, err)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	present := make([]string, 0, len(entries))
	for _, entry := range entries {
		present = append(present, entry.Name())
	}

	strange, missing := compareTopLevel(strings.Split(string(tracked), "\x00"), present)

	require.Empty(t, strange, "not in the list")
	require.Empty(t, missing, "in the list, but missing")
}

func TestCompareTopLevel(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		giveTracked []string
		givePresent []string
		wantStrange []string
		wantMissing []string
	}{
		{name: "all is well", giveTracked: []string{"go.mod", "ports/work.go", ".ci/run", ""}, givePresent: topLevel()},
		{
			name: "a file too many", giveTracked: []string{"main.go", "go.mod"}, givePresent: topLevel(),
			wantStrange: []string{"main.go"},
		},
		{
			name: "a folder too many", giveTracked: []string{"tools/a.go", "tools/b.go"}, givePresent: topLevel(),
			wantStrange: []string{"tools"},
		},
		{
			name: "files that git does not track do not count", givePresent: append(topLevel(), "notes.txt"),
		},
		{name: "one is gone", givePresent: topLevel()[1:], wantMissing: []string{"LICENSE"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			strange, missing := compareTopLevel(tt.giveTracked, tt.givePresent)
			require.Equal(t, tt.wantStrange, strange)
			require.Equal(t, tt.wantMissing, missing)
		})
	}
}

// compareTopLevel returns the names of tracked files that are not in the list, and the names in the list that are not
// present.
func compareTopLevel(tracked, present []string) (strange, missing []string) {
	for _, file := range tracked {
		top, _, _ := strings.Cut(file, "/")
		known := top == "" || strings.HasPrefix(top, ".") || slices.Contains(topLevel(), top)
		if !known && !slices.Contains(strange, top) {
			strange = append(strange, top)
		}
	}
	for _, name := range topLevel() {
		if !slices.Contains(present, name) {
			missing = append(missing, name)
		}
	}
	return strange, missing
}
