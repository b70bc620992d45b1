package arch_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryImportFollowsTheTable(t *testing.T) {
	t.Parallel()
	files := goFiles(t, root(t))
	require.Contains(t, files, "domain/id.go")
	require.Contains(t, files, "tests/arch/imports_test.go")

	for file, imports := range files {
		for _, imported := range imports {
			if fault := check(file, imported); fault != "" {
				t.Error(fault)
			}
		}
	}
}

func TestTheTableAllowsAndForbidsImports(t *testing.T) {
	t.Parallel()
	tests := []struct {
		give   string
		file   string
		wantOK bool
	}{
		{"net/http", "domain/id.go", true},
		{"github.com/google/uuid", "domain/id.go", false},
		{module + "/ports", "domain/id.go", false},
		{module + "/domain", "ports/work.go", true},
		{module + "/domain", "domain/envelope/codec.go", true},
		{module + "/application", "ports/work.go", false},
		{module + "/ports", "application/submit.go", true},
		{module + "/application", "application/worker/pool.go", true},
		{module + "/adapters/embedded", "application/submit.go", false},
		{"golang.org/x/sync/errgroup", "application/submit.go", false},
		{"github.com/gin-gonic/gin", "adapters/httpapi/server.go", true},
		{"github.com/gin-gonic/gin/binding", "adapters/httpapi/server.go", true},
		{"github.com/gin-gonic/gin", "adapters/embedded/db.go", false},
		{"github.com/gin-gonic/gin", "bootstrap/app.go", false},
		{"github.com/gin-gonic/ginger", "adapters/httpapi/server.go", false},
		{"golang.org/x/net/netutil", "adapters/httpapi/server.go", true},
		{module + "/application", "adapters/httpapi/server.go", false},
		{module + "/application", "adapters/httpapi/server_test.go", false},
		{module + "/adapters/embedded", "adapters/httpapi/server.go", false},
		{module + "/configs", "adapters/httpapi/server.go", false},
		{module + "/tests/memorycarrier", "bootstrap/testqueue.go", true},
		{module + "/tests/memorycarrier", "bootstrap/queue.go", false},
		{module + "/domain", "adapters/nobody/knows.go", false},
		{"fmt", "main.go", false},
		{"fmt", "internal/util/util.go", false},
		{"go.uber.org/fx", "bootstrap/app.go", true},
		{"go.uber.org/fx/fxtest", "bootstrap/app_test.go", true},
		{"go.uber.org/fx", "configs/load.go", false},
		{"github.com/knadh/koanf/v2", "configs/load.go", true},
		{"github.com/knadh/koanf/v2", "adapters/redis/client.go", false},
		{module + "/adapters/embedded", "bootstrap/adapters.go", true},
		{"testing", "domain/id.go", false},
		{"testing/synctest", "application/worker/pool.go", false},
		{"testing", "domain/id_test.go", true},
		{"net/http/httptest", "adapters/httpapi/server.go", false},
		{"github.com/stretchr/testify/require", "domain/id_test.go", true},
		{"github.com/stretchr/testify/require", "domain/id.go", false},
		{"github.com/golang/mock/gomock", "application/submit.go", false},
		{module + "/tests/mocks", "application/submit_test.go", true},
		{module + "/tests/mocks", "application/submit.go", false},
		{module + "/tests/e2e", "application/submit_test.go", false},
		{"github.com/golang/mock/gomock", "tests/mocks/work.go", true},
		{module + "/adapters/embedded", "tests/conformance/work.go", true},
		{"C", "tests/e2e/e2e.go", false},
	}
	for _, tt := range tests {
		t.Run(tt.file+" imports "+tt.give, func(t *testing.T) {
			t.Parallel()
			fault := check(tt.file, tt.give)
			require.Equal(t, tt.wantOK, fault == "", fault)
		})
	}
}

// root returns the folder that has the module's go.mod.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		require.NotEqual(t, dir, parent, "there is no go.mod above the test")
		dir = parent
	}
}

// goFiles returns the imports of every Go file of the module, by the file's path relative to the root.
func goFiles(t *testing.T, root string) map[string][]string {
	t.Helper()
	files := make(map[string][]string)
	err := filepath.WalkDir(root, func(p string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && p != root && outside(p, entry.Name()):
			return fs.SkipDir
		case entry.IsDir() || filepath.Ext(p) != ".go":
			return nil
		}
		relative, err := filepath.Rel(root, p)
		require.NoError(t, err)
		files[filepath.ToSlash(relative)] = imports(t, p)
		return nil
	})
	require.NoError(t, err)
	return files
}

// outside reports whether a folder belongs to no package of the module: Go skips it, or it is a module of its own.
func outside(p, name string) bool {
	_, err := os.Stat(filepath.Join(p, "go.mod"))
	return err == nil || name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
}

func imports(t *testing.T, file string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	require.NoError(t, err)
	paths := make([]string, 0, len(parsed.Imports))
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		require.NoError(t, err)
		paths = append(paths, imported)
	}
	return paths
}
