package sqs

import (
	"encoding/base64"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const (
	// encodingAttribute says how the body of a message is encoded. Without it the body is the value.
	encodingAttribute = "openhqm-encoding"
	encodingBase64    = "base64"
	stringType        = "String"
	// encodedOverhead is what the attribute counts in the size of a message: name, type and value.
	encodedOverhead = len(encodingAttribute) + len(stringType) + len(encodingBase64)
)

// body is what SQS carries of a value.
type body struct {
	text    string
	encoded bool
}

// size is what SQS counts.
func (b *body) size() int {
	if b.encoded {
		return len(b.text) + encodedOverhead
	}
	return len(b.text)
}

func (b *body) attributes() map[string]types.MessageAttributeValue {
	if !b.encoded {
		return nil
	}
	return map[string]types.MessageAttributeValue{
		encodingAttribute: {DataType: aws.String(stringType), StringValue: aws.String(encodingBase64)},
	}
}

// encode leaves a value as it is if SQS takes it. The newline keeps the body of an empty one from being empty, which
// SQS would not take; decoders of base64 skip it.
func encode(value []byte) body {
	if len(value) > 0 && legal(value) {
		return body{text: string(value)}
	}
	return body{text: base64.StdEncoding.EncodeToString(value) + "\n", encoded: true}
}

// decode returns the value of a message. A body that is not what its attribute says is the value itself.
func decode(m *types.Message) []byte {
	text := aws.ToString(m.Body)
	attribute, there := m.MessageAttributes[encodingAttribute]
	if !there || aws.ToString(attribute.StringValue) != encodingBase64 {
		return []byte(text)
	}
	value, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return []byte(text)
	}
	return value
}

// legal reports whether SQS takes a text as a body: UTF-8 of the characters of XML 1.0 section 2.2, which are all but
// control characters, U+FFFE and U+FFFF.
func legal(text []byte) bool {
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			if c < ' ' && c != '\t' && c != '\n' && c != '\r' {
				return false
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 || r == 0xFFFE || r == 0xFFFF {
			return false
		}
		i += size
	}
	return true
}
