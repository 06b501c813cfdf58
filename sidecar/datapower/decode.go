package datapower

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Keys of answers that do not depend on the resource.
const (
	keyError  = "error"
	keyErrors = "errors"
	keyResult = "result"
	keyLinks  = "_links"
	keyStatus = "status"
)

// maxRows bounds the rows of one answer. A gateway has a few peerings with a few members each, and a hundred domains is
// already many; but three bytes of JSON can make a row of two hundred bytes.
const maxRows = 10_000

// maxFields bounds the keys of one object, for the same reason.
const maxFields = 10_000

// maxTextBytes bounds the JSON in which texts for an error are looked for.
const maxTextBytes = 64 << 10

// pick returns the values of the wanted keys of a JSON object and skips all others. The spelling of keys counts.
func pick(object []byte, wanted []string) (map[string]json.RawMessage, error) {
	fields := map[string]json.RawMessage{}
	err := eachField(object, func(key string, value json.RawMessage) error {
		if slices.Contains(wanted, key) {
			fields[key] = value
		}
		return nil
	})
	return fields, err
}

// eachField calls a function for each key of a JSON object, in its order.
func eachField(object []byte, visit func(key string, value json.RawMessage) error) error {
	decoder := json.NewDecoder(bytes.NewReader(object))
	if err := expect(decoder, json.Delim('{')); err != nil {
		return err
	}
	for count := 0; decoder.More(); count++ {
		if count == maxFields {
			return fmt.Errorf("%w: more than %d keys", ErrAnswerTooLarge, maxFields)
		}
		key, err := decoder.Token()
		if err != nil {
			return malformed(err)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return malformed(err)
		}
		if err := visit(key.(string), value); err != nil { // the decoder gives strings only, between '{' and a value
			return err
		}
	}
	if err := expect(decoder, json.Delim('}')); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows the JSON object", ErrMalformed)
	}
	return nil
}

// rows returns the rows of a value that is an object, an array of objects, or absent. In place of an absent one stands a
// text under the key "result", such as "No status retrieved." or "No configuration retrieved.".
func rows(fields map[string]json.RawMessage, class string) ([]json.RawMessage, error) {
	value, found := fields[class]
	if !found {
		var none string
		if json.Unmarshal(fields[keyResult], &none) != nil {
			return nil, fmt.Errorf("%w: neither %s nor a result", ErrMalformed, class)
		}
		return nil, nil
	}
	if value[0] == '{' {
		return []json.RawMessage{value}, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(value))
	if err := expect(decoder, json.Delim('[')); err != nil {
		return nil, err
	}
	var decoded []json.RawMessage
	for decoder.More() {
		if len(decoded) == maxRows {
			return nil, fmt.Errorf("%w: more than %d rows of %s", ErrAnswerTooLarge, maxRows, class)
		}
		var row json.RawMessage
		if err := decoder.Decode(&row); err != nil {
			return nil, malformed(err)
		}
		decoded = append(decoded, row)
	}
	return decoded, nil
}

// decodeRows decodes each row of a class.
func decodeRows[T any](fields map[string]json.RawMessage, class string) ([]T, error) {
	raw, err := rows(fields, class)
	if err != nil {
		return nil, err
	}
	decoded := make([]T, len(raw))
	for i, row := range raw {
		if err := json.Unmarshal(row, &decoded[i]); err != nil {
			return nil, fmt.Errorf("row %d of %s: %w", i+1, class, malformed(err))
		}
	}
	return decoded, nil
}

func expect(decoder *json.Decoder, delimiter json.Delim) error {
	token, err := decoder.Token()
	if err != nil {
		return malformed(err)
	}
	if token != delimiter {
		return fmt.Errorf("%w: no %s where one belongs", ErrMalformed, delimiter)
	}
	return nil
}

// malformed hides the decoder's text, which may repeat parts of the answer.
func malformed(err error) error {
	if errors.Is(err, ErrMalformed) {
		return err
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("%w: invalid JSON at byte %d", ErrMalformed, syntax.Offset)
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return fmt.Errorf("%w: field %s has the wrong type", ErrMalformed, kind.Field)
	}
	return fmt.Errorf("%w: invalid JSON", ErrMalformed)
}

// errorTexts returns the texts of an answer's error, which is a string, an array of strings, or an object "errors" that
// holds texts somewhere inside.
func errorTexts(fields map[string]json.RawMessage) (texts []string, found bool) {
	for _, key := range []string{keyError, keyErrors} {
		value, present := fields[key]
		if !present {
			continue
		}
		found = true
		texts = append(texts, textsIn(value)...)
	}
	return texts, found
}

// textsIn returns the strings inside a JSON value, at most as many as an error may show.
func textsIn(value json.RawMessage) []string {
	var decoded any
	if len(value) > maxTextBytes || json.Unmarshal(value, &decoded) != nil {
		return nil
	}
	return appendTexts(nil, decoded)
}

func appendTexts(texts []string, value any) []string {
	if len(texts) >= maxMessages {
		return texts
	}
	switch value := value.(type) {
	case string:
		return append(texts, html.UnescapeString(value))
	case []any:
		for _, element := range value {
			texts = appendTexts(texts, element)
		}
	case map[string]any:
		keys := make([]string, 0, len(value))
		for key := range value {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			texts = appendTexts(texts, value[key])
		}
	}
	return texts
}

// text is a string that may be XML-escaped, or a number, or a reference: an object whose "value" is the text.
type text string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *text) UnmarshalJSON(data []byte) error {
	var reference struct {
		Value json.RawMessage `json:"value"`
	}
	if data[0] == '{' {
		if err := json.Unmarshal(data, &reference); err != nil {
			return err
		}
		if data = reference.Value; len(data) == 0 || data[0] == '{' {
			*t = ""
			return nil
		}
	}
	var plain any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&plain); err != nil {
		return err
	}
	switch plain := plain.(type) {
	case string:
		*t = text(html.UnescapeString(plain))
	case json.Number:
		*t = text(plain.String())
	case nil:
		*t = ""
	default:
		return fmt.Errorf("%w: a text is neither string nor number nor reference", ErrMalformed)
	}
	return nil
}

// number is an unsigned number, written as a JSON number or as a string; the empty string is zero.
type number uint64

// UnmarshalJSON implements [json.Unmarshaler].
func (n *number) UnmarshalJSON(data []byte) error {
	var plain text
	if err := plain.UnmarshalJSON(data); err != nil {
		return err
	}
	digits := strings.TrimSpace(string(plain))
	if digits == "" {
		*n = 0
		return nil
	}
	value, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: a number is not an unsigned one of 64 bits", ErrMalformed)
	}
	*n = number(value)
	return nil
}

// port is a number of 16 bits.
type port uint16

// UnmarshalJSON implements [json.Unmarshaler].
func (p *port) UnmarshalJSON(data []byte) error {
	var whole number
	if err := whole.UnmarshalJSON(data); err != nil {
		return err
	}
	if whole > math.MaxUint16 {
		return fmt.Errorf("%w: a port is above 65535", ErrMalformed)
	}
	*p = port(whole)
	return nil
}

// toggle is a boolean: "on" or "off", "yes" or "no", or a JSON boolean. Anything else is an error.
type toggle bool

// UnmarshalJSON implements [json.Unmarshaler].
func (b *toggle) UnmarshalJSON(data []byte) error {
	switch strings.ToLower(string(data)) {
	case `"on"`, `"yes"`, `"true"`, `true`:
		*b = true
	case `"off"`, `"no"`, `"false"`, `""`, `false`, `null`:
		*b = false
	default:
		return fmt.Errorf("%w: a switch is neither on nor off", ErrMalformed)
	}
	return nil
}

// list is an array of T, or a single one, or null.
type list[T any] []T

// UnmarshalJSON implements [json.Unmarshaler].
func (l *list[T]) UnmarshalJSON(data []byte) error {
	if data[0] == '[' {
		var all []T
		err := json.Unmarshal(data, &all)
		*l = all
		return err
	}
	if bytes.Equal(data, []byte("null")) {
		return nil
	}
	var one T
	if err := json.Unmarshal(data, &one); err != nil {
		return err
	}
	*l = []T{one}
	return nil
}
