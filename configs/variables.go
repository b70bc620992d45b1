package configs

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	variablePrefix = "OPENHQM_"
	fileVariable   = "OPENHQM_CONFIG"   // the path of the YAML file
	dotEnvVariable = "OPENHQM_ENV_FILE" // the path of the .env file
	keyVariable    = "OPENHQM_KEY"      // an administrator's key, for openhqm dlq
)

// notKeys are variables of ours that set no key.
var notKeys = []string{fileVariable, dotEnvVariable, keyVariable}

// serviceLinks are the variables that Kubernetes injects for every service, here one whose name begins with openhqm
// (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
var serviceLinks = regexp.MustCompile(`^OPENHQM_(\w+_)?` +
	`(SERVICE_(HOST|PORT(_\w+)?)=|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?=|=(tcp|udp|sctp)://))`)

// assignment is a key with the text that a variable or a flag sets it to.
type assignment struct {
	source string
	path   []string
	spec   *spec
	text   string
	old    *oldUse // the name is an old one; nil: it is of today
}

// matcher finds the keys that variables stand for. Variables without our prefix are somebody else's, service links are
// ignored, and an unknown rest is only warned of: it may be meant for another version.
type matcher struct {
	env    environment
	origin func(name string) string // where a variable was set
	report *report

	known   []assignment
	open    []openAssignment  // whose key depends on which endpoints there are
	sources map[string]string // by key
}

// openAssignment is what a variable sets of an endpoint, by all readings of its name.
type openAssignment struct {
	source   string
	readings []reading
	text     string
}

func (m *matcher) match() {
	m.sources = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(m.env)) {
		rest, ours := strings.CutPrefix(name, variablePrefix)
		if !ours || slices.Contains(notKeys, name) || serviceLinks.MatchString(name+"="+m.env[name]) {
			continue
		}
		source, readings := m.origin(plain(name)), schema.byVariable(rest)
		if m.env[name] == "" && !emptyIsAFault(readings) {
			continue
		}
		switch {
		case m.matchOld(source, rest, m.env[name]):
		case len(readings) == 0:
			m.report.warn(source, "no key has this name; the variable is ignored")
		case readings[0].name != 0:
			m.open = append(m.open, openAssignment{source, readings, m.env[name]})
		default:
			m.assign(source, readings[0], m.env[name])
		}
	}
}

// emptyIsAFault reports whether an empty variable sets the key. All others are as good as none, because what starts
// processes cannot always leave a variable out. But who means to set keys must not end up with an open server.
func emptyIsAFault(readings []reading) bool {
	return len(readings) == 1 && readings[0].spec == schema.field("server").field("api_keys")
}

// assign refuses two spellings of one key.
func (m *matcher) assign(source string, r reading, text string) {
	key := strings.Join(r.path, ".")
	if r.old {
		use := &oldUse{source: source, keys: []string{key}}
		m.report.old = append(m.report.old, use)
		m.known = append(m.known, assignment{source: source, path: r.path, spec: r.spec, text: text, old: use})
		return
	}
	if other, again := m.sources[key]; again {
		m.report.add(Fault{Source: source, Key: key, Reason: "is also set by " + other + "; keep one of them"})
		return
	}
	m.sources[key] = source
	m.known = append(m.known, assignment{source: source, path: r.path, spec: r.spec, text: text})
}

// matchOld reports whether the name is an old one.
func (m *matcher) matchOld(source, variable, text string) bool {
	rows, texts := oldRows(variable, text)
	if rows == nil {
		return false
	}
	use := &oldUse{source: source, row: rows[0], shown: map[string]string{}}
	m.report.old = append(m.report.old, use)
	for i, row := range rows {
		path, found := schema.byFlag(row.key)
		if found == nil {
			continue // it means nothing any more
		}
		use.keys = append(use.keys, row.key)
		if texts[i] != text {
			use.shown[row.key] = found.show(texts[i])
		}
		m.known = append(m.known, assignment{source: source, path: path, spec: found, text: texts[i], old: use})
	}
	return true
}

// assignOpen chooses among the readings by the names of the endpoints that there are.
func (m *matcher) assignOpen(endpoints []string) {
	// What can be read in one way only says which endpoints there are.
	slices.SortStableFunc(m.open, func(a, b openAssignment) int { return len(a.readings) - len(b.readings) })
	m.known = nil
	for _, o := range m.open {
		r, reason := choose(o.readings, endpoints)
		if reason != "" {
			m.report.add(Fault{Source: o.source, Reason: reason})
			continue
		}
		endpoints = append(endpoints, r.endpoint())
		m.assign(o.source, r, o.text)
	}
}

// choose returns the reading whose name there is or, if there is none, the one with the shortest name. Variables cannot
// spell all names, so MY_API is also my-api. The reason says why it cannot choose, or is empty.
func choose(readings []reading, names []string) (chosen reading, reason string) {
	var fitting []reading
	for _, r := range readings {
		if slices.Contains(names, r.endpoint()) {
			return r, ""
		}
		for _, name := range names {
			if spelled(name) == spelled(r.endpoint()) {
				fitting = append(fitting, r.of(name))
			}
		}
	}
	switch len(fitting) {
	case 0:
		return readings[0], ""
	case 1:
		return fitting[0], ""
	}
	keys := make([]string, len(fitting))
	for i, r := range fitting {
		keys[i] = strings.Join(r.path, ".")
	}
	return reading{}, "may mean " + strings.Join(keys, " or ") + "; set the key in the file, or in " +
		variablePrefix + "PROXY__ENDPOINTS as JSON"
}

// spelled returns a name as variables spell it, in small letters.
func spelled(name string) string {
	return strings.NewReplacer("-", "_", ".", "_").Replace(strings.ToLower(name))
}

// matchFlags finds the keys of flags.
func matchFlags(flags map[string]string, r *report) []assignment {
	var known []assignment
	for _, key := range slices.Sorted(maps.Keys(flags)) {
		path, found := schema.byFlag(key)
		if found == nil {
			r.add(Fault{Source: "--" + plain(key), Reason: "no key has this name"})
			continue
		}
		known = append(known, assignment{source: "--" + key, path: path, spec: found, text: flags[key]})
	}
	return known
}

// readAssignments turns assignments into settings. One for a whole dict goes before those for something in it.
func readAssignments(known []assignment, r *report) []setting {
	slices.SortStableFunc(known, func(a, b assignment) int { return len(a.path) - len(b.path) })
	var settings []setting
	for _, a := range known {
		reader := reader{source: a.source, report: r, old: a.old}
		node, reason := parseText(a.text, a.spec)
		if reason != "" { // the text is not shown: it could hold a secret
			r.add(Fault{Source: a.source, Key: strings.Join(a.path, "."), Reason: reason})
			continue
		}
		reader.read(node, a.spec, a.path)
		settings = append(settings, reader.settings...)
	}
	return settings
}

// parseText makes a tree of what a variable or a flag says: JSON for a dict and a list of sections, JSON or comma
// separated values for another list, else the text as it is. It says what is wrong, or "".
func parseText(text string, s *spec) (node *yaml.Node, reason string) {
	trimmed := strings.TrimSpace(text)
	switch {
	case s.kind == kindDict:
		return parseJSON(trimmed, "{", "must be a JSON object")
	case s.kind == kindList && s.elem.kind == kindSection:
		return parseJSON(trimmed, "[", "must be a JSON array of objects")
	case s.kind == kindList && strings.HasPrefix(trimmed, "["):
		return parseJSON(trimmed, "[", "must be a JSON array or values separated by commas")
	case s.kind == kindList:
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for item := range strings.SplitSeq(trimmed, ",") {
			if trimmed != "" {
				list.Content = append(list.Content, textNode(strings.TrimSpace(item)))
			}
		}
		return list, ""
	default:
		return textNode(text), ""
	}
}

// parseJSON keeps numbers as they are written. JSON is not quite the subset of YAML it is said to be, hence no YAML
// parser here: it refuses \/ and surrogate pairs.
func parseJSON(text, begin, allowed string) (node *yaml.Node, reason string) {
	if !strings.HasPrefix(text, begin) || !json.Valid([]byte(text)) {
		return nil, allowed
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	err := decoder.Decode(&value)
	if err == nil {
		node = new(yaml.Node)
		err = node.Encode(value)
	}
	if err != nil {
		return nil, allowed
	}
	return node, ""
}

func textNode(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
}
