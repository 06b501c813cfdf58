package datapower

import (
	"encoding/json"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The answers to an asynchronous action, as a public test recorded them.
const (
	accepted = `{"_links":{"self":{"href":"/mgmt/actionqueue/snafu"},"doc":{"href":"/mgmt/docs/actionqueue"},` +
		`"location":{"href":"/mgmt/actionqueue/snafu/pending/ResetThisDomain-20201215T210541Z-10"}},` +
		`"ResetThisDomain":{"status":"Action request accepted."}}`
	pendingPath = "/mgmt/actionqueue/snafu/pending/ResetThisDomain-20201215T210541Z-10"
	resetDomain = `{"ResetThisDomain":{}}`
)

func TestSynchronousAction(t *testing.T) {
	const body = `{"SaveConfig": 0}`
	client := connect(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "POST /mgmt/actionqueue/default", r.Method+" "+r.URL.RequestURI())
		sent, _ := io.ReadAll(r.Body)
		assert.Equal(t, body, string(sent), "byte for byte")
		answer(http.StatusOK, `{"_links":{"self":{"href":"/mgmt/actionqueue/default"},"doc":{"href":"/mgmt/docs/actionqueue"}},`+
			`"SaveConfig":"Operation completed.","script-log":""}`)(w, r)
	})
	result, err := client.Action(t.Context(), "default", json.RawMessage(body))
	require.NoError(t, err)
	assert.Equal(t, ActionResult{Name: "SaveConfig", Message: "Operation completed."}, result)
}

// queue accepts an action and then gives one answer per look at it, the last one for ever.
func queue(t *testing.T, looks ...string) http.HandlerFunc {
	var look atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			answer(http.StatusAccepted, accepted)(w, r)
			return
		}
		assert.Equal(t, pendingPath, r.URL.RequestURI())
		body := looks[min(int(look.Add(1)), len(looks))-1]
		if body == "" {
			answer(http.StatusNotFound, `{"error":["Resource not found."]}`)(w, r)
			return
		}
		answer(http.StatusOK, body)(w, r)
	}
}

func TestAsynchronousAction(t *testing.T) {
	const self = `{"_links":{"self":{"href":"` + pendingPath + `"}},`
	tests := []struct {
		name    string
		looks   []string
		wantErr error
		text    string // in the message or the error
	}{
		{"completed at once", []string{self + `"status":"completed"}`}, nil, ""},
		{"started twice, then completed with a result", []string{
			self + `"status":"started"}`, self + `"status":"started"}`, self + `"status":"completed","result":"3 peers &amp; more"}`,
		}, nil, "3 peers & more"},
		{"processed", []string{self + `"status":"processed"}`}, nil, ""},
		{"gone from the queue", []string{self + `"status":"started"}`, ""}, nil, ""},
		{"an unknown state is not the end", []string{self + `"status":"warming-up"}`, self + `"status":"completed"}`}, nil, ""},
		{"processed with errors", []string{self + `"status":"processed-with-errors","result":"one of two"}`}, ErrActionFailed, "one of two"},
		{"an error without text", []string{self + `"status":"error"}`}, ErrActionFailed, "error"},
		{"an error with a text", []string{self + `"status":"error","error":"No such peering."}`}, ErrActionFailed, "No such peering."},
		{"an error with an array of texts", []string{self + `"status":"error","error":["Bad.","Worse."]}`}, ErrActionFailed, "Bad. Worse."},
		{"the look fails", []string{`{`}, ErrMalformed, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			client := connect(t, queue(t, test.looks...))
			result, err := client.Action(t.Context(), "snafu", json.RawMessage(resetDomain))
			if test.wantErr != nil {
				require.ErrorIs(t, err, test.wantErr)
				assert.ErrorContains(t, err, test.text)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, ActionResult{Name: "ResetThisDomain", Asynchronous: true, Message: test.text}, result)
		})
	}
}

func TestActionThatDoesNotEnd(t *testing.T) {
	client := connect(t, queue(t, `{"status":"started"}`), func(o *Options) { o.ActionTimeout = 50 * time.Millisecond })
	_, err := client.Action(t.Context(), "snafu", json.RawMessage(resetDomain))
	require.ErrorIs(t, err, ErrActionPending)
}

func TestRefusedActions(t *testing.T) {
	operations := `{"_links":{"self":{"href":"/mgmt/actionqueue/snafu/operations"},"SaveConfig":{"schema":{"href":""}}}}`
	tests := []struct {
		name     string
		status   int
		answer   string
		action   string
		want     error
		wantText string
	}{
		{
			"bad parameters of an action that is offered", http.StatusBadRequest,
			`{"_links":{"self":{"href":"/mgmt/actionqueue/tmp"}},"error":["Bad request.","Unable to execute local:/config-err.cfg - must be text file."," exec config:/x.cfg"]}`,
			`{"SaveConfig":{"x":1}}`, &APIError{}, "Bad request. Unable to execute local:/config-err.cfg - must be text file. exec config:/x.cfg",
		},
		{
			"an action that is not offered", http.StatusBadRequest, `{"error":["Bad request."]}`,
			`{"GatewayPeeringReset":{}}`, ErrUnsupported, "Bad request.",
		},
		{
			"the other form of an error", http.StatusInternalServerError, `{"errors":{"error":[{"error-message":"Out of cheese."}]}}`,
			`{"SaveConfig":0}`, &APIError{}, "Out of cheese.",
		},
		{
			"an error in an answer that looks well", http.StatusOK, `{"error":"Not today."}`,
			`{"SaveConfig":0}`, &APIError{}, "Not today.",
		},
		{
			"accepted without a location", http.StatusAccepted, `{"SaveConfig":{"status":"Action request accepted."}}`,
			`{"SaveConfig":0}`, ErrMalformed, "location",
		},
		{
			"accepted with a location outside the queue", http.StatusAccepted, `{"_links":{"location":{"href":"/mgmt/config/default/User"}}}`,
			`{"SaveConfig":0}`, ErrMalformed, "location",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			client := connect(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					assert.Equal(t, "/mgmt/actionqueue/snafu/operations", r.URL.RequestURI())
					answer(http.StatusOK, operations)(w, r)
					return
				}
				answer(test.status, test.answer)(w, r)
			})
			_, err := client.Action(t.Context(), "snafu", json.RawMessage(test.action))
			if wanted, is := test.want.(*APIError); is {
				require.ErrorAs(t, err, &wanted)
				assert.NotErrorIs(t, err, ErrUnsupported)
			} else {
				require.ErrorIs(t, err, test.want)
			}
			assert.ErrorContains(t, err, test.wantText)
		})
	}
}

func TestLocationOnAnotherHostIsAskedOnThisOne(t *testing.T) {
	stranger, _ := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the credentials went to a stranger") })
	client := connect(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			answer(http.StatusAccepted, `{"_links":{"location":{"href":"`+stranger+pendingPath+`"}}}`)(w, r)
			return
		}
		answer(http.StatusOK, `{"status":"completed"}`)(w, r)
	})
	_, err := client.Action(t.Context(), "snafu", json.RawMessage(resetDomain))
	require.NoError(t, err)
}

func TestBodiesOfActions(t *testing.T) {
	client := connect(t, func(http.ResponseWriter, *http.Request) { t.Error("nothing must be sent") })
	for _, body := range []string{``, `[]`, `{}`, `{"A":0,"B":0}`, `{"":0}`, `{"A":0`, `null`} {
		_, err := client.Action(t.Context(), "default", json.RawMessage(body))
		require.ErrorIs(t, err, ErrOptions, body)
	}
}

func TestOperations(t *testing.T) {
	client := connect(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "GET /mgmt/actionqueue/default/operations", r.Method+" "+r.URL.RequestURI())
		answer(http.StatusOK, `{"_links":{"self":{"href":"/mgmt/actionqueue/default/operations"},`+
			`"SaveConfig":{"schema":{"href":"/mgmt/actionqueue/{domain}/operations/SaveConfig"},"metadata":{"href":""}},`+
			`"AddPasswordMap":{"schema":{"href":""}}}}`)(w, r)
	})
	names, err := client.Operations(t.Context(), "default")
	require.NoError(t, err)
	assert.Equal(t, []string{"AddPasswordMap", "SaveConfig"}, names)

	client = connect(t, answer(http.StatusOK, `{}`))
	_, err = client.Operations(t.Context(), "default")
	require.ErrorIs(t, err, ErrMalformed)
}
