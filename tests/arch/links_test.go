package arch_test

import (
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

// maxReadme is how long README.md may be, in bytes: what somebody reads to the end.
const maxReadme = 9 << 10

func TestTheREADMEIsShort(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join(root(t), "README.md"))
	require.NoError(t, err)
	require.LessOrEqual(t, len(readme), maxReadme, "move details beside what they describe")
}

func TestEveryLinkInTheDocumentsLeadsSomewhere(t *testing.T) {
	t.Parallel()
	repo := loadRepository(t)
	require.Contains(t, repo.documents, "README.md")
	for _, fault := range repo.brokenLinks() {
		t.Error(fault)
	}
}

// Comments in code and configuration name documents by their path from the root, or from their own folder.
func TestEveryDocumentThatCodeNamesExists(t *testing.T) {
	t.Parallel()
	repo := loadRepository(t)
	named := 0
	for file := range repo.files {
		switch {
		case strings.HasPrefix(file, "tests/arch/"):
			continue // its tables name documents that do not exist
		case !strings.HasSuffix(file, ".go") && !strings.HasSuffix(file, ".yaml"):
			continue
		}
		text, err := os.ReadFile(filepath.Join(root(t), file))
		require.NoError(t, err)
		for _, name := range documentName.FindAllString(string(text), -1) {
			named++
			require.True(t, repo.files[name] || repo.files[path.Join(path.Dir(file), name)], "%s names %s", file, name)
		}
	}
	require.NotZero(t, named)
}

var documentName = regexp.MustCompile(`[\w./-]*\b[A-Z]+\.md\b`)

// repository is what links in its documents can lead to.
type repository struct {
	files     map[string]bool   // by path from the root; folders too
	documents map[string]string // text of the Markdown files, by path
}

func loadRepository(t *testing.T) repository {
	t.Helper()
	repo := repository{files: map[string]bool{}, documents: map[string]string{}}
	for _, file := range trackedFiles(t) {
		if _, err := os.Stat(filepath.Join(root(t), file)); err != nil {
			continue // deleted, and not committed yet
		}
		repo.add(file)
		if strings.HasSuffix(file, ".md") {
			text, err := os.ReadFile(filepath.Join(root(t), file))
			require.NoError(t, err)
			repo.documents[file] = string(text)
		}
	}
	return repo
}

// add notes a file, and the folders that it is in.
func (r *repository) add(file string) {
	for p := file; p != "."; p = path.Dir(p) {
		r.files[p] = true
	}
}

// brokenLinks returns a sentence for each relative link that leads nowhere.
func (r *repository) brokenLinks() []string {
	var faults []string
	for document, text := range r.documents {
		for _, link := range links(text) {
			if fault := r.follow(document, link); fault != "" {
				faults = append(faults, fmt.Sprintf("%s: the link %q %s", document, link, fault))
			}
		}
	}
	return faults
}

// lineAnchor is what GitHub understands behind the name of a file that is not Markdown.
var lineAnchor = regexp.MustCompile(`^L\d+(-L\d+)?$`)

// follow returns what is wrong with a link in a document, or "". Links with a scheme or a host are not followed.
func (r *repository) follow(document, link string) string {
	target, err := url.Parse(link)
	switch {
	case err != nil:
		return "is no URL"
	case target.Scheme != "" || target.Host != "":
		return ""
	}
	file := document
	switch {
	case strings.HasPrefix(target.Path, "/"): // from the root of the repository, as GitHub reads it
		file = strings.TrimPrefix(path.Clean(target.Path), "/")
	case target.Path != "":
		file = path.Join(path.Dir(document), target.Path)
	}
	text, isDocument := r.documents[file]
	switch {
	case file != "." && !r.files[file]:
		return "leads to no file of the repository"
	case target.Fragment == "":
		return ""
	case !isDocument && !lineAnchor.MatchString(target.Fragment):
		return "has an anchor, but leads to no document"
	case isDocument && !anchors(text)[target.Fragment]:
		return "leads to no heading"
	}
	return ""
}

var (
	fence     = regexp.MustCompile("^ {0,3}(```+|~~~+)")
	code      = regexp.MustCompile("(`+)[^`]*(`+)")
	comment   = regexp.MustCompile(`(?s)<!--.*?-->`)
	inline    = regexp.MustCompile(`\]\(\s*(?:<([^>\n]*)>|([^)\s]+))(?:\s+["'][^)]*)?\)`)
	reference = regexp.MustCompile(`(?m)^ {0,3}\[[^\]]+\]:\s*(?:<([^>\n]*)>|(\S+))`)
	htmlLink  = regexp.MustCompile(`(?:href|src)="([^"]*)"`)
	htmlName  = regexp.MustCompile(`<[a-z]+[^>]*\s(?:id|name)="([^"]*)"`)
	heading   = regexp.MustCompile(`^ {0,3}#{1,6}[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$`)
	linkText  = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
)

// links returns where the links and images of a Markdown text lead to, as they are written there.
func links(text string) []string {
	prose := comment.ReplaceAllString(strings.Join(proseLines(text), "\n"), "")
	prose = code.ReplaceAllString(prose, "")
	var found []string
	for _, pattern := range []*regexp.Regexp{inline, reference, htmlLink} {
		for _, match := range pattern.FindAllStringSubmatch(prose, -1) {
			found = append(found, strings.Join(match[1:], "")) // one group of a pattern matches
		}
	}
	return found
}

// anchors returns the anchors that GitHub makes of the headings of a Markdown text, and those written in HTML.
// Headings are those that begin with "#"; underlined ones count as none.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	for _, line := range proseLines(text) {
		for _, match := range htmlName.FindAllStringSubmatch(line, -1) {
			found[match[1]] = true
		}
		match := heading.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		base := anchor(match[1])
		name := base
		for n := 1; found[name]; n++ {
			name = fmt.Sprintf("%s-%d", base, n)
		}
		found[name] = true
	}
	return found
}

// anchor returns the anchor that GitHub makes of the text of a heading, before it numbers repeated ones: lower case,
// spaces as hyphens, and without anything that is not a letter, digit, hyphen or underscore
// (https://docs.github.com/en/get-started/writing-on-github, "Section links").
func anchor(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r), unicode.IsMark(r):
			return unicode.ToLower(r)
		}
		return -1
	}, linkText.ReplaceAllString(strings.TrimSpace(text), "$1"))
}

// proseLines returns the lines of a Markdown text that are in no fenced block of code.
func proseLines(text string) []string {
	var lines []string
	open := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		mark := strings.TrimSpace(fence.FindString(line))
		switch {
		case open == "" && mark != "":
			open = mark
		case open == "":
			lines = append(lines, line)
		case strings.HasPrefix(mark, open) && strings.TrimSpace(line) == mark: // the end names no language
			open = ""
		}
	}
	return lines
}
