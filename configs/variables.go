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
	fileVariable   = "OPENHQM_CONFIG" // the path of the YAML file, not a key
	keyVariable    = "OPENHQM_KEY"    // an administrator's key, for openhqm dlq
)

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
}

// matchVariables finds the keys that variables stand for. Variables without our prefix are somebody else's, service
// links are ignored, and an unknown rest is only warned of: it may be meant for another version. origin tells where a
// variable was set.
func matchVariables(env environment, origin func(name string) string, r *report) ([]assignment, []Warning) {
	var known []assignment
	var warnings []Warning
	sources := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		rest, ours := strings.CutPrefix(name, variablePrefix)
		if !ours || name == fileVariable || name == keyVariable || serviceLinks.MatchString(name+"="+env[name]) {
			continue
		}
		source := origin(plain(name))
		path, found := schema.byVariable(rest)
		if found == nil {
			warnings = append(warnings, Warning{Source: source, Text: "no key has this name; the variable is ignored"})
			continue
		}
		key := strings.Join(path, ".")
		if other, again := sources[key]; again {
			r.add(Fault{Source: source, Key: key, Reason: "is also set by " + other + "; keep one of them"})
			continue
		}
		sources[key] = source
		known = append(known, assignment{source: source, path: path, spec: found, text: env[name]})
	}
	return known, warnings
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
		reader := reader{source: a.source, report: r}
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
