package configs

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// YAML returns the effective configuration in the order of default.yaml, with secrets masked. Load can read it
// back, but for the masks.
func (c *Config) YAML() ([]byte, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(nodeOf(reflect.ValueOf(*c), schema)); err != nil {
		return nil, fmt.Errorf("encode the configuration: %w", err)
	}
	if err := encoder.Close(); err != nil {
		return nil, fmt.Errorf("encode the configuration: %w", err)
	}
	return out.Bytes(), nil
}

// nodeOf returns the tree that reader would read as this value.
func nodeOf(value reflect.Value, s *spec) *yaml.Node {
	switch s.kind {
	case kindSection:
		node := &yaml.Node{Kind: yaml.MappingNode}
		for _, f := range s.fields {
			node.Content = append(node.Content, textNode(f.name), nodeOf(value.FieldByIndex(f.index), f.spec))
		}
		return node
	case kindDict:
		node := &yaml.Node{Kind: yaml.MappingNode}
		names := value.MapKeys()
		slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, name := range names {
			node.Content = append(node.Content, textNode(name.String()), nodeOf(value.MapIndex(name), s.elem))
		}
		return node
	case kindList:
		node := &yaml.Node{Kind: yaml.SequenceNode}
		if s.elem.kind == kindValue || value.Len() == 0 {
			node.Style = yaml.FlowStyle
		}
		for i := range value.Len() {
			node.Content = append(node.Content, nodeOf(value.Index(i), s.elem))
		}
		return node
	default:
		return valueNode(value.Interface())
	}
}

// valueNode writes text so that nothing in it is expanded again, and leaves it to YAML whether it needs quotes.
func valueNode(value any) *yaml.Node {
	switch value := value.(type) {
	case string:
		return textNode(escapeReferences(value))
	case Digest:
		return textNode(string(value))
	case Secret:
		return textNode(value.String())
	default:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: format(value)}
	}
}
