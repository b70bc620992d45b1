package arch_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestABrokenLinkIsFound(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		give string // the text of docs/README.md
		want []string
	}{
		{name: "no link", give: "# Title\nText with [brackets] (and parentheses)."},
		{name: "a file beside it", give: "[run](run.md)"},
		{name: "a file above it", give: "[the top](../README.md)"},
		{name: "a folder", give: "[code](../ports) and [its parent](..)"},
		{name: "from the root", give: "[ports](/ports/work.go)"},
		{name: "other websites", give: "[a](https://example.com/x) [b](mailto:a@example.com) [c](//example.com/y)"},
		{name: "an anchor here", give: "# One two\n[up](#one-two)"},
		{name: "an anchor elsewhere", give: "[start](run.md#start)"},
		{name: "a line of code", give: "[line](../ports/work.go#L7) [lines](../ports/work.go#L7-L9)"},
		{name: "an image, a title and angle brackets", give: "![i](run.md \"A title\") [b](<run.md>)"},
		{name: "a name in percent-encoding", give: "[space](a%20b.md)"},
		{name: "links in code", give: "`[a](gone.md)`\n```md\n[b](gone.md)\n```\n~~~\n[c](gone.md)\n~~~\n"},
		{name: "links in comments", give: "<!-- [a](gone.md)\n[b](gone.md) -->"},
		{name: "a link in a table", give: "| [a](run.md) | [b](gone.md) |", want: []string{"gone.md"}},
		{name: "a missing file", give: "[gone](gone.md)", want: []string{"gone.md"}},
		{name: "another case", give: "[run](RUN.md)", want: []string{"RUN.md"}},
		{name: "a missing image", give: "![gone](gone.png)", want: []string{"gone.png"}},
		{name: "outside of the repository", give: "[out](../../other/README.md)", want: []string{"../../other/README.md"}},
		{name: "a missing file from the root", give: "[gone](/gone.md)", want: []string{"/gone.md"}},
		{name: "a missing anchor here", give: "# One\n[up](#two)", want: []string{"#two"}},
		{name: "a missing anchor elsewhere", give: "[stop](run.md#stop)", want: []string{"run.md#stop"}},
		{name: "an anchor of a folder", give: "[x](../ports#x)", want: []string{"../ports#x"}},
		{name: "a heading in code", give: "```\n# One\n```\n[up](#one)", want: []string{"#one"}},
		{name: "a reference", give: "[a][b]\n\n[b]: gone.md", want: []string{"gone.md"}},
		{name: "HTML", give: `<a href="gone.md">x</a> <img src="run.md">`, want: []string{"gone.md"}},
		{name: "a link over two lines", give: "[some\ntext](gone.md)", want: []string{"gone.md"}},
		{name: "after a block of code", give: "```\n``` not its end\n```\n[x](gone.md)", want: []string{"gone.md"}},
		{name: "no URL", give: "[x](%zz)", want: []string{"%zz"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			repo := repository{files: map[string]bool{}, documents: map[string]string{
				"README.md": "# Top", "docs/README.md": tt.give, "docs/run.md": "## Start\n", "docs/a b.md": "",
			}}
			for document := range repo.documents {
				repo.add(document)
			}
			repo.add("ports/work.go")

			var want []string
			for _, link := range tt.want {
				want = append(want, `docs/README.md: the link "`+link+`"`)
			}
			faults := repo.brokenLinks()
			require.Len(t, faults, len(want))
			for i, fault := range faults {
				require.Contains(t, fault, want[i])
			}
		})
	}
}

func TestAnchorsAreThoseOfGitHub(t *testing.T) {
	t.Parallel()
	tests := []struct {
		give string
		want []string
	}{
		{"# Two commands", []string{"two-commands"}},
		{"### Who may use it? ###", []string{"who-may-use-it"}},
		{"## `queue.type`, and_more", []string{"queuetype-and_more"}},
		{"## A & B", []string{"a--b"}},
		{"## A - B", []string{"a---b"}},
		{"## [Redis](redis.md) first", []string{"redis-first"}},
		{"## Überlauf", []string{"überlauf"}},
		{"# Same\n# Same\n# Same", []string{"same", "same-1", "same-2"}},
		{"# Same\n# Same-1\n# Same", []string{"same", "same-1", "same-2"}},
		{"#None\n    # none\n```\n# none\n```", nil},
		{`<a id="here"></a> and <a name="there"></a>`, []string{"here", "there"}},
	}
	for _, tt := range tests {
		t.Run(tt.give, func(t *testing.T) {
			t.Parallel()
			found := anchors(tt.give)
			require.Len(t, found, len(tt.want))
			for _, name := range tt.want {
				require.True(t, found[name], name)
			}
		})
	}
}
