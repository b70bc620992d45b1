package rawjson_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain/envelope/rawjson"
)

func TestValid(t *testing.T) {
	t.Parallel()
	for give, want := range map[string]bool{
		`{}`: true, ` 1e400 `: true, "\"\u2028\"": true, `{"a":1,"a":2}`: true,
		``: false, `{`: false, "\"\xff\"": false, `1 2`: false, "\uFEFF1": false,
	} {
		require.Equal(t, want, rawjson.Valid([]byte(give)), "%q", give)
	}
}

func TestHalfSurrogate(t *testing.T) {
	t.Parallel()
	for give, want := range map[string]bool{
		`"x"`: false, `"\ud83d\ude00"`: false, `"\uD83D\uDE00\ud83d\ude00"`: false, `"\ufffd \u0041 \n \\ud83d"`: false,
		`{"\ud83d\ude00": ["\\", 1]}`: false, `"x\ud83d"`: true, `"\ude00"`: true, `"\ud83d\u0041"`: true,
		`"\ud83d\ud83d\ude00"`: true, `"\ud83d\n"`: true, `{"\ud83d": 1}`: true, `{"a": ["\\", "\ud83d"]}`: true,
	} {
		require.Equal(t, want, rawjson.HalfSurrogate([]byte(give)), "%s", give)
	}
}

func TestNested(t *testing.T) {
	t.Parallel()
	tests := []struct {
		give   string
		levels int
		want   bool
	}{
		{`1`, 0, false},
		{`[]`, 0, true},
		{`[]`, 1, false},
		{`[[],{},[],{}]`, 2, false},
		{`[[],{},[[]]]`, 2, true},
		{`{"a":{"b":{}}}`, 2, true},
		{`["[[[[", "\"[[[["]`, 1, false},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, rawjson.Nested([]byte(tt.give), tt.levels), tt.give)
	}
}

func TestMembers(t *testing.T) {
	t.Parallel()
	object := []byte("{ \"a\" : [1, \"]\"] ,\r\n\t\"b\\u0022\":\"\\\\\",\"a\":-1e9,\"\":{\"x\":{}} , \"n\":null}  ")
	var got []string
	for key, value := range rawjson.Members(object) {
		got = append(got, string(key)+"="+string(value))
	}
	require.Equal(t, []string{`a=[1, "]"]`, `b"="\\"`, `a=-1e9`, `={"x":{}}`, `n=null`}, got)
	for range rawjson.Members([]byte(` {} `)[1:]) {
		t.Error("there is no member")
	}
	for key := range rawjson.Members(object) {
		require.Equal(t, "a", string(key))
		break
	}
}

func TestElements(t *testing.T) {
	t.Parallel()
	list := []byte("[ 1 ,\"a,\\\"\", [[]],\n{\"b\":[1]} ,true]")
	var got []string
	for element := range rawjson.Elements(list) {
		got = append(got, string(element))
	}
	require.Equal(t, []string{`1`, `"a,\""`, `[[]]`, `{"b":[1]}`, `true`}, got)
	for range rawjson.Elements([]byte(`[ ]`)) {
		t.Error("there is no element")
	}
	for element := range rawjson.Elements(list) {
		require.Equal(t, "1", string(element))
		break
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	for give, want := range map[string]string{
		`""`: "", `"a<&>ä"`: "a<&>ä", `"\"\\\/\b\f\n\r\t\u0000\u20ac"`: "\"\\/\b\f\n\r\t\x00€",
		`"\ud83d\ude00"`: "\U0001F600", `"\ud800"`: "\uFFFD",
	} {
		got, ok := rawjson.Text([]byte(give))
		require.True(t, ok)
		require.Equal(t, want, string(got))
	}
	for _, give := range []string{`1`, `null`, `["a"]`, `{}`} {
		_, ok := rawjson.Text([]byte(give))
		require.False(t, ok, give)
	}
	for _, give := range []string{"\xff", "\xff\\u0041"} {
		got, ok := rawjson.Text([]byte(`"` + give + `"`))
		require.True(t, ok)
		require.Equal(t, give, string(got), "it is not to be taken for UTF-8")
	}
}

func TestIsNull(t *testing.T) {
	t.Parallel()
	require.True(t, rawjson.IsNull([]byte(`null`)))
	require.False(t, rawjson.IsNull([]byte(`"null"`)))
}

func TestWriter(t *testing.T) {
	t.Parallel()
	w := rawjson.Append([]byte("x"))
	w.Text(`a"`, "b{")
	w.Values("list", []string{"1", "2"})
	w.Values("none", nil)
	w.Open("in")
	w.Int("n", -5)
	w.Open("deeper")
	w.End()
	w.Raw("raw", []byte(` [ 1e400 ] `))
	w.End()
	w.Base64("b", []byte{0, 255})
	w.ValidText("v", []byte("<&>\u2028\n\x01"))
	w.Seconds("s", 1500)
	w.Seconds("whole", 9_000_000_000_000)
	w.Seconds("short", 1)
	w.Bool("yes", true)
	w.Bool("no", false)
	w.OpenList("objects")
	w.Item()
	w.Text("a", "[")
	w.End()
	w.Item()
	w.OpenList("empty")
	w.EndList()
	w.End()
	w.EndList()
	w.Values("one", []string{"1"})
	w.Values("two", []string{"1", "2"})
	w.Values("zero", []string{})
	w.Time("at", time.Date(2026, 1, 2, 3, 4, 5, 999_999_999, time.FixedZone("", -3600)))
	require.Equal(t, `x{"a\"":"b{","list":["1","2"],"none":[],"in":{"n":-5,"deeper":{},"raw": [ 1e400 ] },"b":"AP8=",`+
		"\"v\":\"<&>\u2028\\n\\u0001\",\"s\":1.5,\"whole\":9000000000,\"short\":0.001,"+
		`"yes":true,"no":false,"objects":[{"a":"["},{"empty":[]}],"one":"1","two":["1","2"],"zero":[],`+
		`"at":"2026-01-02T04:04:05.999Z"}`, string(w.Close()))
	require.Equal(t, `{}`, string(rawjson.Append(nil).Close()))
}

// FuzzText holds that what is written is JSON and reads as the text it was made of.
func FuzzText(f *testing.F) {
	for _, seed := range []string{
		"", "plain", "\"\\/\b\f\n\r\t\x00\x1f\x7f", "<&>\u2028\u2029\U0001F600", "\xff\xc3\x28", "{", `\`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w := rawjson.Append(nil)
		w.Text(text, text)
		w.Text("x", "")
		document := w.Close()
		require.True(t, rawjson.Valid(document), "%q", document)
		want := strings.ToValidUTF8(text, "\uFFFD")
		for key, value := range rawjson.Members(document) {
			got, ok := rawjson.Text(value)
			require.True(t, ok)
			require.Equal(t, want, string(key))
			require.Equal(t, want, string(got))
			break
		}
	})
}

// FuzzMembers holds the walk against encoding/json: the last of equal keys wins there, and space is taken out.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":1,"b":[{"c":"}"}]}`, ` { "a" : "\"" , "a" : {} } `, `{"\u0061":null}`, `[1, "a", []]`, `[[],{}]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		if !rawjson.Valid(document) {
			return
		}
		document = bytes.TrimSpace(document)
		switch document[0] {
		case '{':
			var want map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(document, &want))
			got := make(map[string]json.RawMessage)
			for key, value := range rawjson.Members(document) {
				got[string(key)] = value
			}
			require.Equal(t, want, got)
		case '[':
			var want []json.RawMessage
			require.NoError(t, json.Unmarshal(document, &want))
			got := []json.RawMessage{}
			for element := range rawjson.Elements(document) {
				got = append(got, element)
			}
			require.Equal(t, want, got)
		}
	})
}
