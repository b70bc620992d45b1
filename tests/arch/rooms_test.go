package arch_test

import (
	"path"
	"slices"
	"strings"
)

const module = "github.com/openhqm/openhqm"

// A room is a folder, and what its code may import besides itself and the standard library.
type room struct {
	folder string
	may    []string // our folders and import paths of other modules, with everything below them
	free   bool     // it may import anything
}

// rooms is the import table: arrows point inward, and each vendor package has one owner. A folder that is neither in
// the table nor below one that is may hold no code. The entry with the longest folder counts.
func rooms() []room {
	return []room{
		{folder: "domain"},
		{folder: "ports", may: []string{"domain"}},
		{folder: "application", may: []string{"domain", "ports"}},
		adapter("carrier"), // a library of the carriers
		adapter("cli", "github.com/spf13/cobra"),
		adapter("echobackend"),
		adapter("embedded", "github.com/cockroachdb/pebble"),
		adapter("httpapi", "github.com/gin-gonic/gin"),
		adapter("httpbackend"),
		adapter("kafka", "adapters/carrier", "github.com/segmentio/kafka-go"),
		adapter("redis", "github.com/redis/go-redis"),
		adapter("sqs", "adapters/carrier", "github.com/aws"),
		adapter("telemetry",
			"github.com/lmittmann/tint", "github.com/mattn/go-isatty", "github.com/prometheus/client_golang"),
		{folder: "configs", may: []string{
			"domain", "github.com/knadh/koanf", "github.com/go-viper/mapstructure", "go.yaml.in/yaml",
		}},
		{folder: "bootstrap", may: []string{
			"domain", "ports", "application", "adapters", "configs",
			"go.uber.org/fx", "go.uber.org/dig", "github.com/knadh/koanf", "github.com/google/uuid",
			"golang.org/x/crypto/x509roots", // the roots of TLS; the image has none
		}},
		{folder: "scripts", free: true},
		{folder: "tests", free: true},
	}
}

// adapter returns a room that may import ports, domain, its own vendors, and the modules of the Go authors, but neither
// the application nor another adapter.
func adapter(name string, vendors ...string) room {
	return room{folder: "adapters/" + name, may: append([]string{"domain", "ports", "golang.org/x"}, vendors...)}
}

// forTests returns what only _test.go files may import, in every room, and testqueue.go, which is only in the test
// build. Rooms that are free may too.
func forTests() []string {
	return []string{
		"testing", "net/http/httptest",
		"github.com/getkin/kin-openapi", "github.com/golang/mock/gomock", "github.com/stretchr/testify",
		"go.uber.org/goleak", "pgregory.net/rapid",
		"tests/conformance", "tests/memorycarrier", "tests/mocks", "tests/queuesuite", "tests/testkit",
	}
}

// check returns what is wrong with an import in a file, or "". The path of the file is relative to the module's root.
func check(file, imported string) string {
	folder := path.Dir(file)
	r, ok := roomOf(folder)
	target, ours := strings.CutPrefix(imported, module+"/")
	standard := !strings.Contains(strings.Split(imported, "/")[0], ".")
	switch {
	case !ok:
		return file + ": the import table has no entry for " + folder
	case imported == "C":
		return file + ": the binary is built without cgo"
	case r.free:
		return ""
	case slices.ContainsFunc(forTests(), within(target)):
		if strings.HasSuffix(file, "_test.go") || strings.HasSuffix(file, "/testqueue.go") {
			return ""
		}
		return file + ": only tests may import " + imported
	case standard, ours && within(target)(r.folder), slices.ContainsFunc(r.may, within(target)):
		return ""
	default:
		return file + ": " + r.folder + " may not import " + imported
	}
}

func roomOf(folder string) (room, bool) {
	var best room
	for _, r := range rooms() {
		if within(folder)(r.folder) && len(r.folder) > len(best.folder) {
			best = r
		}
	}
	return best, best.folder != ""
}

// within returns a function that reports whether the path is a folder or below it.
func within(p string) func(folder string) bool {
	return func(folder string) bool { return p == folder || strings.HasPrefix(p, folder+"/") }
}
