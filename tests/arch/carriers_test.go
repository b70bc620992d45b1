package arch_test

import (
	"go/scanner"
	"go/token"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// The list of files that a new carrier touches stands in ports/README.md. Here it is compared with those that the
// carriers of today touch: each file that names one in its code must be listed, and each entry must be needed.
func TestAllFilesThatACarrierTouchesAreListed(t *testing.T) {
	t.Parallel()
	repo := loadRepository(t)
	var carriers []string
	for _, carrier := range testkit.Carriers() {
		carriers = append(carriers, carrier.Name)
	}
	touched := make(map[string][]string) // by carrier
	for file := range repo.files {
		text, err := os.ReadFile(filepath.Join(root(t), file))
		if err != nil {
			continue // a folder
		}
		for _, carrier := range namedIn(file, string(text), carriers) {
			touched[carrier] = append(touched[carrier], file)
		}
	}
	require.Len(t, touched, len(carriers), "every carrier is named somewhere")
	listed := filesOfACarrier(repo.documents["ports/README.md"])
	for _, fault := range compareFiles(listed, touched) {
		t.Error(fault)
	}
}

func TestAFileThatIsNotListedOrNotNeededIsFound(t *testing.T) {
	t.Parallel()
	listed := filesOfACarrier("# A\n\n| `not/this.go` | |\n\n## Write a backend\n\n| File | For |\n|---|---|\n" +
		"| `adapters/NAME/` | all |\n| `rows.go` | a row |\n| `NAME*.go` | its own |\n| `old.go` | gone |\n\n" +
		"`prose.go` is no entry.\n\n## More\n\n| `nor/that.go` | |\n")
	require.Equal(t, []string{"adapters/NAME/", "rows.go", "NAME*.go", "old.go"}, listed)

	faults := compareFiles(listed, map[string][]string{
		"pigeon": {"adapters/pigeon/a.go", "adapters/pigeon/in/b.go", "rows.go", "pigeonhole.go", "tests/switch.go"},
		"owl":    {"adapters/owl/a.go", "rows.go", "sub/owl.go"},
	})

	require.Equal(t, []string{
		"ports/README.md does not list sub/owl.go, which names owl",
		"ports/README.md does not list tests/switch.go, which names pigeon",
		"ports/README.md lists old.go, which names no carrier",
	}, faults)
}

func TestCommentsAndDocumentsDoNotNameACarrier(t *testing.T) {
	t.Parallel()
	carriers := []string{"owl", "pigeon"}
	for _, tt := range []struct {
		file, give string
		want       []string
	}{
		{"a.go", "package a // owl\n\nconst x = 1 /* pigeon */\n", nil},
		{"a.go", "package a\n\nconst owlLoft = \"a//b\"\n", []string{"owl"}},
		{"a.go", "package a\n\nconst x = \"OWL\" + `pigeon # 7`\n", carriers},
		{"a.yaml", "# owl\nb: 1 # pigeon\n", nil},
		{"a.yaml", "owl:\n  b: 1 # pigeon\n", []string{"owl"}},
		{"README.md", "An owl.", nil},
		{"go.sum", "example.com/owl v1.0.0", nil},
	} {
		require.Equal(t, tt.want, namedIn(tt.file, tt.give, carriers), tt.give)
	}
}

// filesOfACarrier returns the first column of the tables in the section "Write a backend".
func filesOfACarrier(document string) []string {
	_, section, _ := strings.Cut(document, "\n## Write a backend\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var files []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(section, -1) {
		files = append(files, row[1])
	}
	return files
}

// compareFiles compares the list with the files that name each carrier. In the list NAME stands for that of the
// carrier, an entry that ends with "/" for all that is in a folder, and "*" for anything in the name of a file.
func compareFiles(listed []string, touched map[string][]string) []string {
	var faults []string
	needed := make(map[string]bool)
	for _, carrier := range slices.Sorted(maps.Keys(touched)) {
		for _, file := range slices.Sorted(slices.Values(touched[carrier])) {
			found := false
			for _, entry := range listed {
				pattern := strings.ReplaceAll(entry, "NAME", carrier)
				matches, err := path.Match(pattern, file)
				if err == nil && matches || strings.HasSuffix(pattern, "/") && strings.HasPrefix(file, pattern) {
					needed[entry], found = true, true
				}
			}
			if !found {
				faults = append(faults, "ports/README.md does not list "+file+", which names "+carrier)
			}
		}
	}
	for _, entry := range listed {
		if !needed[entry] {
			faults = append(faults, "ports/README.md lists "+entry+", which names no carrier")
		}
	}
	return faults
}

// namedIn returns the carriers that a file names outside of comments. Documents and checksums do not count.
func namedIn(file, text string, carriers []string) []string {
	switch path.Ext(file) {
	case ".md", ".sum":
		return nil
	case ".go":
		text = codeOf(text)
	default:
		text = regexp.MustCompile(`(?m)(^|\s)(#|//).*$`).ReplaceAllString(text, "")
	}
	text = strings.ToLower(text)
	var named []string
	for _, carrier := range carriers {
		if strings.Contains(text, carrier) {
			named = append(named, carrier)
		}
	}
	return named
}

// codeOf returns the names and strings of Go code, without its comments.
func codeOf(text string) string {
	files := token.NewFileSet()
	var s scanner.Scanner
	s.Init(files.AddFile("", files.Base(), len(text)), []byte(text), nil, 0)
	var code strings.Builder
	for {
		_, kind, literal := s.Scan()
		if kind == token.EOF {
			return code.String()
		}
		code.WriteString(literal + " ")
	}
}
