package cut_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/datapower-operator/datapower-operator/test/faults/cut"
)

// server notes what arrives.
func server(t *testing.T) (url string, arrived *[]string) {
	t.Helper()
	arrived = &[]string{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*arrived = append(*arrived, r.Method+" "+r.URL.RequestURI())
		w.WriteHeader(http.StatusCreated)
	}))
	t.Cleanup(s.Close)
	return s.URL, arrived
}

func send(t *testing.T, l *cut.Line, method, url string) error {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, url, nil)
	require.NoError(t, err)
	resp, err := l.Wrap(http.DefaultTransport).RoundTrip(r)
	if err == nil {
		require.NoError(t, resp.Body.Close())
	}
	return err
}

func TestNothingIsSentAfterTheLastRequest(t *testing.T) {
	for mode, want := range map[cut.Mode][]string{
		cut.AnswerLost: {"POST /a", "GET /b", "PUT /c"},
		cut.NeverSent:  {"POST /a", "GET /b"},
	} {
		t.Run(mode.String(), func(t *testing.T) {
			url, arrived := server(t)
			l := cut.New()
			l.Arm(2, mode)
			require.NoError(t, send(t, l, http.MethodPost, url+"/a"))
			require.NoError(t, send(t, l, http.MethodGet, url+"/b"), "reading is not counted")
			require.ErrorIs(t, send(t, l, http.MethodPut, url+"/c"), cut.ErrDead)
			select {
			case <-l.Dead():
			default:
				assert.Fail(t, "must be dead")
			}
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				require.ErrorIs(t, send(t, l, method, url+"/d"), cut.ErrDead)
			}
			assert.Equal(t, want, *arrived)
			require.Len(t, l.Log(), 2)
			assert.Equal(t, "PUT /c", l.Log()[1].String())
		})
	}
}

func TestOnlyWritesThatMatterAreCounted(t *testing.T) {
	url, _ := server(t)
	l := cut.New()
	for _, path := range []string{"/api/v1/namespaces/a/events", "/apis/coordination.k8s.io/v1/namespaces/a/leases/b", "/c?dryRun=All"} {
		require.NoError(t, send(t, l, http.MethodPatch, url+path))
	}
	require.NoError(t, send(t, l, http.MethodGet, url+"/pods?watch=true"))
	assert.Empty(t, l.Log())
	assert.Equal(t, 3, l.Count(), "watches are no requests that end")
	require.NoError(t, send(t, l, http.MethodDelete, url+"/c"))
	assert.Equal(t, []cut.Request{{Method: "DELETE", Path: "/c", Status: 201}}, l.Log())
}

func TestArmForgetsWhatWasBefore(t *testing.T) {
	url, _ := server(t)
	l := cut.New()
	require.NoError(t, send(t, l, http.MethodPost, url+"/before"))
	l.Arm(1, cut.NeverSent)
	assert.Empty(t, l.Log())
	require.ErrorIs(t, send(t, l, http.MethodPost, url+"/after"), cut.ErrDead)
}
