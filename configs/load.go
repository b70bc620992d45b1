package configs

import (
	"bytes"
	"cmp"
	_ "embed" // for default.yaml
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
	"go.yaml.in/yaml/v3"
)

// Sources says where the configuration comes from. Each source wins over those before it; below all are the defaults.
type Sources struct {
	File     string            // path of the YAML file; empty: the one that OPENHQM_CONFIG names, or none
	DotEnv   string            // path of the .env file; empty: as OPENHQM_ENV_FILE says, or the one beside the YAML file
	NoDotEnv bool              // whether no .env file is read
	Environ  []string          // as os.Environ returns it
	Flags    map[string]string // text by key, for instance "server.port"; only flags that were given

	// FileAlone leaves out what variables set. They are still used for ${NAME} in the file.
	FileAlone bool
}

//go:embed default.yaml
var defaults []byte

// maxFile is the size of the largest file we read, in bytes.
const maxFile = 1 << 20

// Load reads all sources and checks the result. Its error is an *Error with every fault; what is at fault has its
// default then, or a value that cannot be used. Secrets are not resolved, see Resolve. Load blocks as long as reading
// the files does.
func Load(sources Sources) (Config, []Warning, error) {
	l := loader{tree: koanf.New(delimiter), settings: map[string]setting{}, origins: map[string]origin{}}
	environ := parseEnviron(sources.Environ)
	dotEnv := l.dotenv(sources, environ)
	l.environment = dotEnv.values.under(environ)

	l.add(l.defaults())
	l.add(l.file(cmp.Or(sources.File, l.environment[fileVariable])))
	if !sources.FileAlone {
		l.variables(dotEnv.values, func(name string) string {
			return name + " in " + origin{name: dotEnv.path, line: dotEnv.lines[name]}.String()
		})
		l.variables(environ, func(name string) string { return name })
	}
	l.add(l.flags(sources.Flags))
	l.addOld()
	l.add(l.inherit())

	config := l.decode()
	config.dotEnv = dotEnv.path
	config.complete()
	config.validate(&validator{report: &l.report, settings: l.settings, origins: l.origins})
	return config, l.report.warnings, l.report.err()
}

// delimiter joins the parts of a key inside koanf. No key holds it, while names of endpoints hold dots.
const delimiter = "\x1f"

// loader puts the settings of one source after the other into a tree.
type loader struct {
	tree        *koanf.Koanf
	settings    map[string]setting // what counts, by key
	origins     map[string]origin  // by key, and by what it belongs to
	environment environment        // with .env below it
	report      report
}

// add lays settings over what is there.
func (l *loader) add(layer []setting) {
	tree := map[string]any{}
	for _, s := range layer {
		insert(tree, s.path, s.value)
		l.forget(l.settings[s.key()].entries)
		l.remember(s)
		for _, entry := range s.entries {
			l.remember(entry)
		}
	}
	if err := l.tree.Load(confmap.Provider(tree, ""), nil); err != nil {
		l.report.add(Fault{Reason: err.Error()})
	}
}

// forget drops what a list says that another source replaces.
func (l *loader) forget(entries []setting) {
	for _, s := range entries {
		delete(l.settings, s.key())
		delete(l.origins, s.key())
	}
}

// remember keeps what a key was set to, where it was set last, and where what it belongs to was set first.
func (l *loader) remember(s setting) {
	if s.value != nil {
		l.settings[s.key()] = s
	}
	if s.inherited {
		return
	}
	for end := range s.path {
		key := strings.Join(s.path[:end+1], ".")
		if _, known := l.origins[key]; !known {
			l.origins[key] = s.origin
		}
	}
	if s.value != nil {
		l.origins[s.key()] = s.origin
	}
}

// insert puts a value into a tree of maps; nil makes sure that there is a map.
func insert(tree map[string]any, path []string, value any) {
	for _, name := range path[:len(path)-1] {
		tree = descend(tree, name)
	}
	last := path[len(path)-1]
	if value == nil {
		descend(tree, last)
		return
	}
	tree[last] = value
}

func descend(tree map[string]any, name string) map[string]any {
	below, there := tree[name].(map[string]any)
	if !there {
		below = map[string]any{}
		tree[name] = below
	}
	return below
}

// defaultSource is the origin of keys that nobody set.
const defaultSource = "default"

func (l *loader) defaults() []setting {
	return l.yaml(reader{source: defaultSource, report: &l.report}, defaults)
}

func (l *loader) file(path string) []setting {
	if path == "" {
		return nil
	}
	content, err := readFile(path, maxFile)
	if err != nil {
		l.report.unreadable(path, err)
		return nil
	}
	return l.yaml(reader{source: path, lines: true, expand: l.environment, report: &l.report}, content)
}

// anchorName is what a YAML error must not show: a password that begins with "*" and has no quotes looks like one.
var anchorName = regexp.MustCompile(`anchor '.*'`)

// yaml reads one document. yaml/v3 is used directly because koanf's own parser forgets the lines.
func (l *loader) yaml(r reader, content []byte) []setting {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) { // nothing, or only comments
		return nil
	}
	if err == nil && !errors.Is(decoder.Decode(new(yaml.Node)), io.EOF) {
		err = errors.New("must hold one YAML document")
	}
	if err != nil {
		l.report.add(Fault{Source: r.source, Reason: anchorName.ReplaceAllString(err.Error(), "anchor "+mask)})
		return nil
	}
	r.read(document.Content[0], schema, nil)
	return r.settings
}

// variables adds what variables set. Fields of endpoints come last, when it is known which endpoints there are.
func (l *loader) variables(env environment, origin func(name string) string) {
	m := matcher{env: env, origin: origin, report: &l.report}
	m.match()
	l.add(readAssignments(m.known, &l.report))
	m.assignOpen(l.endpoints())
	l.add(readAssignments(m.known, &l.report))
}

// endpoints returns the names of those that the sources so far have.
func (l *loader) endpoints() []string { return l.tree.MapKeys("proxy" + delimiter + "endpoints") }

func (l *loader) flags(flags map[string]string) []setting {
	return readAssignments(matchFlags(flags, &l.report), &l.report)
}

// The defaults of endpoints.
const (
	dialTimeout     = 10 * time.Second
	breakerRatio    = 0.5
	breakerWindow   = 30 * time.Second
	breakerMinCalls = 10
	breakerCooldown = 10 * time.Second
	breakerProbes   = 3
)

// inherit sets what endpoints do not say themselves.
func (l *loader) inherit() []setting {
	var layer []setting
	for _, name := range l.endpoints() {
		set := func(s setting, path ...string) {
			s.path = append([]string{"proxy", "endpoints", name}, path...)
			s.inherited = true
			if !l.tree.Exists(strings.Join(s.path, delimiter)) {
				layer = append(layer, s)
			}
		}
		set(setting{value: http.MethodPost}, "method")
		set(setting{value: AuthNone}, "auth", "type")
		set(setting{value: dialTimeout}, "dial_timeout")
		set(setting{value: breakerRatio}, "breaker", "ratio")
		set(setting{value: breakerWindow}, "breaker", "window")
		set(setting{value: breakerMinCalls}, "breaker", "min_calls")
		set(setting{value: breakerProbes}, "breaker", "probes")
		set(setting{value: breakerCooldown}, "breaker", "cooldown")
		set(l.settings["worker.timeout"], "timeout")
		for _, f := range schema.field("retry").fields {
			set(l.settings["retry."+f.name], "retry", f.name)
		}
	}
	return layer
}

// decode fills the structs. What is in the tree is checked and converted, so an error is a mistake in this package.
func (l *loader) decode() Config {
	config := Config{origins: l.origins}
	decoder := &mapstructure.DecoderConfig{ErrorUnused: true, DecodeHook: l.toSecret}
	if err := l.tree.UnmarshalWithConf("", &config, koanf.UnmarshalConf{DecoderConfig: decoder}); err != nil {
		l.report.add(Fault{Reason: fmt.Sprintf("decode: %v", err)})
	}
	return config
}

// toSecret is the decode hook that binds the text of a secret to the environment it is resolved from.
func (l *loader) toSecret(_, to reflect.Type, data any) (any, error) {
	text, isText := data.(string)
	switch {
	case !isText || to != secretType:
		return data, nil
	case text == "":
		return Secret{}, nil
	case !strings.Contains(text, "${"):
		return Secret{reference: text}, nil
	default:
		return Secret{reference: text, env: l.environment}, nil
	}
}

// complete replaces values that stand for another one.
func (c *Config) complete() {
	if q, known := c.queueType(); known && c.Store.Type == storeAuto {
		c.Store.Type = q.store
	}
	c.Server.Host = withoutBrackets(c.Server.Host)
	c.asciiNames()
	c.Server.PublicURL = strings.TrimRight(c.Server.PublicURL, "/")
	c.Server.RateLimit.complete()
	for name, endpoint := range c.Proxy.Endpoints {
		endpoint.complete(c.Worker.Count, len(c.Proxy.Endpoints))
		c.Proxy.Endpoints[name] = endpoint
	}
}

// complete shares the calls that the worker makes at once among so many endpoints.
func (e *Endpoint) complete(calls, endpoints int) {
	if e.Auth.Type == AuthAPIKey && e.Auth.Header == "" {
		e.Auth.Header = "X-API-Key"
	}
	e.RateLimit.complete()
	calls = min(max(calls, 1), maxWorkers) // a count out of range is reported where it stands, not here
	switch {
	case e.MaxInFlight != 0:
	case endpoints == 1:
		e.MaxInFlight = calls
	default: // a dead one leaves room for the others
		e.MaxInFlight = max(calls/2, 1)
	}
}
