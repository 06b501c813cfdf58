package datapower

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// decode is the way of an answer with status 200 through the decoder.
func decode(body []byte) ([]PeeringStatus, error) {
	client := &Client{}
	fields, err := client.open(200, body, []string{providerPeering})
	if err != nil {
		return nil, err
	}
	return decodeStatus(fields)
}

func FuzzDecodeStatus(f *testing.F) {
	for _, seed := range []string{
		`{"GatewayPeeringStatus":[{"Address":"172.30.131.201","Name":"rate-limit","PendingUpdates":0,"ReplicationOffset":170111082,"LinkStatus":"ok","Primary":"yes"}]}`,
		`{"GatewayPeeringStatus":{"Address":"a","Name":"b","PendingUpdates":"2","ServicePort":1,"Priority":null}}`,
		`{"result":"No status retrieved."}`,
		`{"error":["Resource not found."]}`,
		`{"errors":{"error":[{"error-message":"x"}]}}`,
		`{"GatewayPeeringStatus":[[[[[[[[{`,
		`{"GatewayPeeringStatus":{"Address":{"value":"a","href":"/x"},"Name":{"value":{}}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		status, err := decode(body)
		if err != nil {
			assert.Empty(t, status)
			assert.Less(t, len(err.Error()), 4*maxMessages*(maxMessageRunes+40), "an error must not grow with the answer")
			return
		}
		assert.LessOrEqual(t, len(status), maxRows)
		for _, row := range status {
			assert.NotEmpty(t, row.Address)
			assert.NotEmpty(t, row.Name)
			assert.LessOrEqual(t, len(row.Address)+len(row.Name), 2*len(body))
		}
	})
}

// An answer of the largest size must not cost many times its size in memory, whatever it is made of.
func TestDecodingDoesNotMultiplyTheAnswer(t *testing.T) {
	const size = 4 << 20
	fill := func(head, part, tail string) []byte {
		return []byte(head + strings.Repeat(part, (size-len(head)-len(tail))/len(part)) + tail)
	}
	tests := []struct {
		name string
		body []byte
	}{
		{"empty rows", fill(`{"GatewayPeeringStatus":[`, `{},`, `{}]}`)},
		{"other keys", fill(`{`, `"a":0,`, `"b":0}`)},
		{"the same key again and again", fill(`{`, `"GatewayPeeringStatus":{},`, `"b":0}`)},
		{"nested arrays", fill(`{"x":`, `[`, ``)},
		{"error texts", fill(`{"error":[`, `"x",`, `"x"]}`)},
		{"one long text", fill(`{"GatewayPeeringStatus":{"Name":"`, `&amp;`, `"}}`)},
		{"one long number", fill(`{"GatewayPeeringStatus":{"PendingUpdates":`, `1`, `}}`)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			_, err := decode(test.body)
			runtime.ReadMemStats(&after)
			require.Error(t, err)
			allocated := after.TotalAlloc - before.TotalAlloc
			assert.Less(t, allocated, uint64(20*size), fmt.Sprintf("allocated %d MB in sum", allocated>>20))
		})
	}
}
