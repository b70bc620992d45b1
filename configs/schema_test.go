package configs

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// keysOf lists the keys of a section with all below them, in their order; a dict counts as one key.
func keysOf(s *spec, path []string) [][]string {
	if s.kind != kindSection {
		return [][]string{path}
	}
	var keys [][]string
	for _, f := range s.fields {
		keys = append(keys, keysOf(f.spec, child(path, f.name))...)
	}
	return keys
}

// keysIn lists the keys that a document has where the schema has a key.
func keysIn(n *yaml.Node, s *spec, path []string) [][]string {
	if s == nil || s.kind != kindSection {
		return [][]string{path}
	}
	var keys [][]string
	for i := 0; i < len(n.Content); i += 2 {
		name := n.Content[i].Value
		keys = append(keys, keysIn(n.Content[i+1], s.field(name), child(path, name))...)
	}
	return keys
}

func parse(t *testing.T, content string) *yaml.Node {
	t.Helper()
	var document yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(content), &document))
	return document.Content[0]
}

// endpointTemplate is the commented block of default.yaml with all fields of an endpoint, uncommented.
func endpointTemplate(t *testing.T) string {
	t.Helper()
	_, block, found := strings.Cut(string(defaults), "\n  # endpoints:\n")
	require.True(t, found)
	template := "proxy:\n  endpoints:\n"
	for line := range strings.Lines(block) {
		line, found = strings.CutPrefix(line, "  # ")
		require.True(t, found, "the block goes to the end of the file")
		template += "  " + line
	}
	return template
}

func TestDefaultYAMLHasExactlyTheKeysOfTheStructs(t *testing.T) {
	t.Parallel()
	require.Equal(t, keysOf(schema, nil), keysIn(parse(t, string(defaults)), schema, nil))
}

func TestTheEndpointInDefaultYAMLHasExactlyTheKeysOfTheStruct(t *testing.T) {
	t.Parallel()
	var document map[string]map[string]map[string]yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(endpointTemplate(t)), &document))
	endpoint, elem := document["proxy"]["endpoints"]["orders"], schema.field("proxy").field("endpoints").elem
	require.Equal(t, keysOf(elem, nil), keysIn(&endpoint, elem, nil))
}

// keyTemplate is the commented block of default.yaml with all fields of an API key, uncommented, for another key.
func keyTemplate(t *testing.T) string {
	t.Helper()
	_, block, found := strings.Cut(string(defaults), "\n  # api_keys:\n")
	require.True(t, found)
	template := "server:\n  api_keys:\n"
	for line := range strings.Lines(block) {
		line, found = strings.CutPrefix(line, "  #   ")
		if !found { // the comment of the next key
			break
		}
		template += "    " + line
	}
	require.Contains(t, template, string(digest(sampleKey)), "everybody knows it")
	return strings.Replace(template, string(digest(sampleKey)), string(digest("shop")), 1)
}

func TestTheKeyInDefaultYAMLHasExactlyTheKeysOfTheStruct(t *testing.T) {
	t.Parallel()
	var document map[string]map[string][]yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(keyTemplate(t)), &document))
	keys, elem := document["server"]["api_keys"], schema.field("server").field("api_keys").elem
	require.Len(t, keys, 1)
	require.Equal(t, keysOf(elem, nil), keysIn(&keys[0], elem, nil))
	require.Equal(t, "shop", loadYAML(t, keyTemplate(t)).Server.APIKeys[0].Name)
}

func TestTheEndpointInDefaultYAMLShowsTheDefaults(t *testing.T) {
	t.Parallel()
	template := loadYAML(t, endpointTemplate(t)).Proxy.Endpoints
	short := loadYAML(t, "proxy: {endpoints: {orders: {url: 'https://orders.internal/api'}}}").Proxy.Endpoints
	require.Equal(t, short, template)
}

func TestEveryFieldHasATypeThatCanBeRead(t *testing.T) {
	t.Parallel()
	samples := map[reflect.Type]string{
		durationType: "1s", sizeType: "1KiB", secretType: "x", digestType: strings.Repeat("0a", 32),
	}
	kinds := map[reflect.Kind]string{
		reflect.Int: "1", reflect.Float64: "0.5", reflect.String: "x", reflect.Bool: "true",
	}
	var check func(s *spec, path string)
	check = func(s *spec, path string) {
		switch s.kind {
		case kindSection:
			require.NotEmpty(t, s.fields, path)
			for _, f := range s.fields {
				check(f.spec, path+"."+f.name)
			}
		case kindDict:
			require.NotNil(t, s.names.pattern, path+" needs a rule for its names")
			check(s.elem, path+".NAME")
		case kindList:
			check(s.elem, path)
		default:
			sample, known := samples[s.typ]
			if !known {
				sample, known = kinds[s.typ.Kind()]
			}
			require.True(t, known, "%s: %v", path, s.typ)
			value, err := convert(sample, s.typ)
			require.NoError(t, err, path)
			if !s.secret() {
				require.True(t, reflect.TypeOf(value).ConvertibleTo(s.typ), path)
			}
		}
	}
	check(schema, "")
}

// A new key whose variable would also be that of another one must be given another name.
func TestEveryKeyHasVariablesOfItsOwn(t *testing.T) {
	t.Parallel()
	endpoint := []string{"proxy", "endpoints", "x"}
	for _, key := range keysOf(schema, nil) {
		for _, between := range []string{"_", "__"} {
			path, found := schema.byVariable(strings.ToUpper(strings.Join(key, between)))
			require.NotNil(t, found, key)
			require.Equal(t, key, path)
		}
	}
	for _, key := range keysOf(schema.field("proxy").field("endpoints").elem, nil) {
		for _, between := range []string{"_", "__"} {
			name := "PROXY_ENDPOINTS__X__" + strings.ToUpper(strings.Join(key, between))
			path, found := schema.byVariable(name)
			require.NotNil(t, found, name)
			require.Equal(t, append(endpoint[:3:3], key...), path)
		}
	}
}
