package script

import (
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryFileIsAScriptOrThePrelude(t *testing.T) {
	t.Parallel()
	names := map[string]bool{"prelude.lua": true}
	for _, s := range All() {
		names[s.name+".lua"] = true
	}
	files, err := fs.Glob(sources, "lua/*.lua")
	require.NoError(t, err)
	require.Len(t, files, len(names))
	for _, file := range files {
		require.Contains(t, names, path.Base(file))
	}
}

// TestEveryArgumentIsDeclaredOnceAndUsed also holds that arguments are read by name alone, and hide nothing that the
// prelude defines.
func TestEveryArgumentIsDeclaredOnceAndUsed(t *testing.T) {
	t.Parallel()
	byNumber := regexp.MustCompile(`ARGV\[(\d|#)`)
	var shared []string
	for _, p := range prelude() {
		shared = append(shared, p.name)
	}
	for _, s := range All() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			body := source(s.name)
			require.NotRegexp(t, byNumber, body)
			require.Equal(t, strings.Contains(body, "NAMED)"), len(s.code().args) > 0, "the declaration is not understood")
			_, rest, _ := strings.Cut(body, "unpack(ARGV, 1, NAMED)")
			seen := map[string]bool{}
			for _, arg := range s.code().args {
				require.Regexp(t, `\b`+arg+`\b`, rest, "it is never used")
				require.False(t, seen[arg], "%s is declared twice", arg)
				seen[arg] = true
				require.NotContains(t, shared, arg, "the prelude defines it too")
			}
		})
	}
}

func TestAScriptHasOnlyThePartsOfThePreludeThatItUses(t *testing.T) {
	t.Parallel()
	text := "local a = 1\nlocal b = 2\ndo\n    c()\nend\nlocal function d(x)\n    return a + x\nend\nlocal e = 3\n"
	require.Equal(t,
		"local a = 1\ndo\n    c()\nend\nlocal function d(x)\n    return a + x\nend\nreturn d(e2)\n",
		used(split(text), "return d(e2)\n"))
	for line := range strings.Lines(source("prelude")) {
		require.NotRegexp(t, `^local \w+,`, line, "a part defines one name")
		if line[0] != ' ' {
			require.Regexp(t, `^(local|do\n|end\n)`, line, "no statement is outside of a part")
		}
	}
	require.NotContains(t, Published.Source(), "TIME")
}

func TestArgumentsAreOrderedByTheirNames(t *testing.T) {
	t.Parallel()
	s := newScript("-- try\nlocal id, token,\n    size = unpack(ARGV, 1, NAMED)\n")
	require.Equal(t, []string{"id", "token", "size"}, s.code().args)
	want := []any{"1", "t", 7}
	require.Equal(t, want, s.Call("id", "1", "token", "t", "size", 7).Args)
	require.Equal(t, want, s.Call("size", 7, "token", "t", "id", "1").Args)
	require.Empty(t, newScript("return 1").Call().Args)
	require.Equal(t, []any{"1", "t", 7, "more"}, s.Call("size", 7, "token", "t", "id", "1").And("more").Args)
}

func newScript(body string) *Script {
	return &Script{name: "try", code: func() code { return build("", body, nil) }}
}

func TestWrongArgumentsPanic(t *testing.T) {
	t.Parallel()
	s := newScript("local id, token = unpack(ARGV, 1, NAMED)\n")
	for name, pairs := range map[string][]any{
		"missing":       {"id", "1"},
		"one too many":  {"id", "1", "token", "t", "size", 7},
		"unknown":       {"id", "1", "size", 7},
		"there twice":   {"id", "1", "id", "1"},
		"no name":       {"id", "1", 2, "t"},
		"without value": {"id", "1", "token", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Panics(t, func() { s.Call(pairs...) })
		})
	}
}
