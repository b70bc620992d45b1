package arch_test

import (
	"path"
	"slices"
	"strings"
)

const module = "github.com/openhqm/openhqm"

// A room is a folder and what its code may import besides itself and the standard library.
type room struct {
	folder string
	may    []string // folders of ours, or import paths of others; what is below them too
	free   bool     // anything
}

// rooms is the import table of the house: arrows point inward, and each vendor package has one owner. A folder that
// stands nowhere in it, or below, may hold no code. The longest folder counts.
func rooms() []room {
	return []room{
		{folder: "domain"},
		{folder: "ports", may: []string{"domain"}},
		{folder: "application", may: []string{"domain", "ports"}},
		{folder: "adapters/batchcall", may: []string{"domain", "ports"}}, // a library of the carriers
		adapter("echobackend"),
		adapter("embedded", "github.com/cockroachdb/pebble"),
		adapter("httpapi", "github.com/gin-gonic/gin"),
		adapter("httpbackend", "github.com/sony/gobreaker"),
		adapter("kafka", "adapters/batchcall", "github.com/segmentio/kafka-go"),
		adapter("redis", "github.com/redis/go-redis"),
		adapter("sqs", "adapters/batchcall", "github.com/aws"),
		adapter("telemetry",
			"github.com/lmittmann/tint", "github.com/mattn/go-isatty", "github.com/prometheus/client_golang"),
		{folder: "configs", may: []string{
			"domain", "github.com/knadh/koanf", "github.com/go-viper/mapstructure", "go.yaml.in/yaml",
		}},
		{folder: "bootstrap", may: []string{
			"domain", "ports", "application", "adapters", "configs",
			"go.uber.org/fx", "go.uber.org/dig", "github.com/knadh/koanf", "github.com/google/uuid",
			"golang.org/x/crypto/x509roots", // the roots of TLS, linked in: the image has none
		}},
		{folder: "scripts", free: true},
		{folder: "tests", free: true},
	}
}

// adapter is a room that sees ports and domain, its own vendors, and what the Go authors publish beside the standard
// library; neither the application nor another adapter.
func adapter(name string, vendors ...string) room {
	return room{folder: "adapters/" + name, may: append([]string{"domain", "ports", "golang.org/x"}, vendors...)}
}

// forTests is what a _test.go file may import besides, in every room. No other code may, except in rooms that are free.
func forTests() []string {
	return []string{
		"testing", "net/http/httptest",
		"github.com/getkin/kin-openapi", "github.com/golang/mock/gomock", "github.com/stretchr/testify",
		"go.uber.org/goleak", "pgregory.net/rapid",
		"tests/conformance", "tests/memorycarrier", "tests/mocks", "tests/queuesuite", "tests/testkit",
	}
}

// check says what is wrong with an import in a file, whose path is relative to the root of the module, or "".
func check(file, imported string) string {
	folder := path.Dir(file)
	r, ok := roomOf(folder)
	target, ours := strings.CutPrefix(imported, module+"/")
	standard := !strings.Contains(strings.Split(imported, "/")[0], ".")
	switch {
	case !ok:
		return file + ": no room of the house is for " + folder
	case imported == "C":
		return file + ": the binary is built without cgo"
	case r.free:
		return ""
	case slices.ContainsFunc(forTests(), within(target)):
		if strings.HasSuffix(file, "_test.go") {
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

// within returns a test whether the path is a folder, or below it.
func within(p string) func(folder string) bool {
	return func(folder string) bool { return p == folder || strings.HasPrefix(p, folder+"/") }
}
