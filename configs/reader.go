package configs

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// setting is a key that a source sets.
type setting struct {
	path   []string
	value  any    // what mapstructure puts into the field; nil for an entry of a dict, which may be empty
	shown  string // what was written, quoted for faults; only the mask of what must not be seen
	origin origin

	inherited bool      // by an endpoint, from a key for all of them
	entries   []setting // of a list of sections: what value is made of
}

func (s *setting) key() string { return strings.Join(s.path, ".") }

// reader turns what one source says into settings, checks it against the schema and reports what does not fit. YAML
// nodes serve as the tree for all sources: they keep lines, and they keep values as text. So a value is read by what
// its key wants, and never by what YAML guesses: no 0123 becomes octal, no 60 becomes nanoseconds.
type reader struct {
	source string      // as faults name it
	lines  bool        // whether the source is a file and nodes have lines
	expand environment // for ${NAME} outside secrets; nil: values are taken literally
	report *report
	old    *oldUse // whose settings are read; nil: names are those of today

	settings []setting
	visited  int
	open     []*yaml.Node // mappings that pairs is in, to notice one that merges itself
}

// maxNodes bounds the work that aliases can multiply.
const maxNodes = 50_000

func (r *reader) read(n *yaml.Node, s *spec, path []string) {
	if !r.within(path) {
		return
	}
	n = follow(n)
	if n.Style&yaml.TaggedStyle != 0 {
		r.fault(n, path, "", "explicit YAML tags are not supported")
		return
	}
	switch s.kind {
	case kindSection:
		r.section(n, s, path)
	case kindDict:
		r.dict(n, s, path)
	case kindList:
		r.list(n, s, path)
	default:
		if value, shown, ok := r.scalar(n, s, path); ok {
			r.set(n, path, value, shown)
		}
	}
}

func (r *reader) section(n *yaml.Node, s *spec, path []string) {
	for _, p := range r.pairs(n, path) {
		below := child(path, plainKey(p.key.Value))
		f, old := s.field(p.key.Value), s.old[p.key.Value]
		switch {
		case r.lines && path == nil && strings.HasPrefix(p.key.Value, "x-"): // of other programs, or for anchors
		case old != nil:
			r.oldField(p, s, path, old)
		case s.old != nil && p.key.Value == "timeout":
			r.read(r.inSeconds(p.value, below), f, below)
		case f != nil:
			r.read(p.value, f, below)
		default: // its value is not shown: it could be a secret under a misspelt key
			r.fault(p.key, below, "", "unknown key; allowed here: "+s.fieldNames())
		}
	}
}

// inSeconds adds the unit to the timeout of an endpoint, which had none in old configurations.
func (r *reader) inSeconds(n *yaml.Node, path []string) *yaml.Node {
	text, _ := seconds(n.Value)
	if n.Kind != yaml.ScalarNode || text == n.Value {
		return n
	}
	r.report.warn(r.at(n).String()+": "+strings.Join(path, "."),
		"has no unit and means seconds, as it did of old; write "+text)
	with := *n
	with.Value = text
	return &with
}

// oldField reads a field that has another name today.
func (r *reader) oldField(p pair, s *spec, path, today []string) {
	below := slices.Concat(path, today)
	r.old = &oldUse{
		source: r.at(p.key).String() + ": " + strings.Join(child(path, p.key.Value), "."), inFile: true,
		keys: []string{strings.Join(below, ".")},
	}
	r.report.old = append(r.report.old, r.old)
	r.read(p.value, s.field(today[0]).field(today[1]), below)
	r.old = nil
}

func (r *reader) dict(n *yaml.Node, s *spec, path []string) {
	for _, p := range r.pairs(n, path) {
		below := child(path, plainKey(p.key.Value))
		if !s.names.pattern.MatchString(p.key.Value) {
			r.fault(p.key, below, "", s.names.allowed)
			continue
		}
		if s.elem.kind == kindSection {
			r.set(p.key, below, nil, "")
		}
		r.read(p.value, s.elem, below)
	}
}

func (r *reader) list(n *yaml.Node, s *spec, path []string) {
	if n.Kind != yaml.SequenceNode {
		r.fault(n, path, "", "must be a list")
		return
	}
	if s.elem.kind == kindSection {
		r.sections(n, s.elem, path)
		return
	}
	values := reflect.MakeSlice(s.typ, 0, len(n.Content))
	texts := make([]string, 0, len(n.Content))
	for _, item := range n.Content {
		if !r.within(path) {
			return
		}
		value, shown, ok := r.scalar(follow(item), s.elem, path)
		if !ok {
			return
		}
		values = reflect.Append(values, reflect.ValueOf(value))
		texts = append(texts, shown)
	}
	r.set(n, path, values.Interface(), strings.Join(texts, ", "))
}

// sections reads a list of sections as one value: sources replace lists, they do not merge them. What the entries say
// is kept beside it, under their numbers, so that faults can name the place.
func (r *reader) sections(n *yaml.Node, elem *spec, path []string) {
	outer := r.settings
	r.settings = nil
	values := make([]any, 0, len(n.Content))
	for i, item := range n.Content {
		at, first := child(path, strconv.Itoa(i)), len(r.settings)
		r.set(item, at, nil, "")
		r.read(item, elem, at)
		value := map[string]any{}
		for _, s := range r.settings[first+1:] {
			insert(value, s.path[len(at):], s.value)
		}
		values = append(values, value)
	}
	entries := r.settings
	r.settings = outer
	r.settings = append(r.settings, setting{path: path, value: values, origin: r.at(n), entries: entries})
}

// scalar reads a single value and what to show of it in faults.
func (r *reader) scalar(n *yaml.Node, s *spec, path []string) (value any, shown string, ok bool) {
	if n.Kind != yaml.ScalarNode {
		r.fault(n, path, "", "must be a single value")
		return nil, "", false
	}
	if isNull(n) {
		r.fault(n, path, "", `has no value; remove the key, or write ""`)
		return nil, "", false
	}
	text := n.Value
	if r.expand != nil && !s.secret() {
		expanded, err := r.expand.expand(text)
		if err != nil {
			r.fault(n, path, s.show(text), err.Error())
			return nil, "", false
		}
		text = expanded
	}
	shown = s.show(text)
	value, err := convert(text, s.typ)
	if err != nil {
		r.fault(n, path, shown, err.Error())
		return nil, "", false
	}
	return value, shown, true
}

func (r *reader) set(n *yaml.Node, path []string, value any, shown string) {
	if r.old != nil {
		r.old.settings = append(r.old.settings, setting{path: path, value: value, shown: shown, origin: r.at(n)})
		return
	}
	r.settings = append(r.settings, setting{path: path, value: value, shown: shown, origin: r.at(n)})
}

func (r *reader) fault(n *yaml.Node, path []string, value, reason string) {
	r.report.add(Fault{Source: r.at(n).String(), Key: strings.Join(path, "."), Value: value, Reason: reason})
}

func (r *reader) at(n *yaml.Node) origin {
	if !r.lines {
		return origin{name: r.source}
	}
	return origin{name: r.source, line: n.Line}
}

// within counts the nodes that were visited and reports when they become too many.
func (r *reader) within(path []string) bool {
	r.visited++
	if r.visited == maxNodes {
		r.fault(&yaml.Node{}, path, "", fmt.Sprintf("more than %d values", maxNodes))
	}
	return r.visited < maxNodes
}

// pair is a key of a mapping and what it holds.
type pair struct{ key, value *yaml.Node }

// pairs lists a mapping in its order: first its own keys, then what it merges in ("<<"). Nothing is an empty mapping,
// so that all lines of a section can be commented out.
func (r *reader) pairs(n *yaml.Node, path []string) []pair {
	if isNull(n) || !r.within(path) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		r.fault(n, path, "", "must be a mapping of keys to values")
		return nil
	}
	if slices.Contains(r.open, n) {
		r.fault(n, path, "", "merges itself")
		return nil
	}
	r.open = append(r.open, n)
	defer func() { r.open = r.open[:len(r.open)-1] }()

	var own, merged []pair
	lines := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := follow(n.Content[i]), n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			r.fault(key, path, "", "a key must be plain text")
		case key.ShortTag() == "!!merge":
			merged = append(merged, r.merged(value, path)...)
		case lines[key.Value] != 0:
			r.fault(key, child(path, plainKey(key.Value)), "", fmt.Sprintf("is already in line %d", lines[key.Value]))
		default:
			lines[key.Value] = key.Line
			own = append(own, pair{key, value})
		}
	}
	for _, p := range merged {
		if lines[p.key.Value] == 0 {
			lines[p.key.Value] = p.key.Line
			own = append(own, p)
		}
	}
	return own
}

// merged lists what "<<" stands for: a mapping, or a list of them of which the first wins.
func (r *reader) merged(n *yaml.Node, path []string) []pair {
	n = follow(n)
	if n.Kind != yaml.SequenceNode {
		return r.pairs(n, path)
	}
	var all []pair
	for _, item := range n.Content {
		all = append(all, r.pairs(follow(item), path)...)
	}
	return all
}

// child makes a path of its own: siblings must not share memory.
func child(path []string, name string) []string { return append(slices.Clip(path), name) }

// follow returns the node that an alias stands for, or the node itself.
func follow(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }
