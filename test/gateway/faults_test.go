package gateway

import (
	"bufio"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/datapower-operator/datapower-operator/sidecar/datapower"
)

// statusOf reads an answer from a connection and closes it.
func statusOf(t *testing.T, conn net.Conn) int {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.NoError(t, conn.Close())
	return response.StatusCode
}

func read(t *testing.T, c *datapower.Client) error {
	_, err := c.PeeringStatus(t.Context(), "apiconnect")
	return err
}

func act(t *testing.T, c *datapower.Client) error {
	_, err := c.Action(t.Context(), "apiconnect", json.RawMessage(`{"GatewayPeeringReset":{"GatewayPeering":"gwd"}}`))
	return err
}

func disable(t *testing.T, c *datapower.Client) error {
	return c.SetAdminState(t.Context(), "apiconnect", "gwd", datapower.Disabled)
}

var faultTests = []struct {
	name   string
	faults Faults
	do     func(*testing.T, *datapower.Client) error
	want   error
	resets int
}{
	{"none, reading", Faults{}, read, nil, 0},
	{"none, acting", Faults{}, act, nil, 1},
	{"slow, but in time", Faults{Slow: 20 * time.Millisecond}, read, nil, 0},
	{"slow", Faults{Slow: time.Minute}, read, datapower.ErrUnreachable, 0},
	{"hanging", Faults{Hang: true}, read, datapower.ErrUnreachable, 0},
	{"hanging elsewhere", Faults{Hang: true, Only: "PUT /mgmt/config/"}, read, nil, 0},
	{"the answer is lost", Faults{HangAfter: true}, act, datapower.ErrUnreachable, 1},
	{"401", Faults{Unauthorized: true}, read, datapower.ErrUnauthorized, 0},
	{"500 twice", Faults{ServerErrors: 2}, read, nil, 0},
	{"500 for ever", Faults{ServerErrors: -1}, read, &datapower.APIError{}, 0},
	{"half written", Faults{HalfWritten: true}, read, datapower.ErrUnreachable, 0},
	{"no JSON", Faults{Malformed: true}, read, datapower.ErrMalformed, 0},
	{"huge", Faults{HugeAnswer: 100 << 10}, read, datapower.ErrAnswerTooLarge, 0},
	{"a wrong certificate", Faults{WrongCertificate: true}, read, datapower.ErrCertificate, 0},
	{"a lost node", Faults{Unreachable: true}, read, datapower.ErrUnreachable, 0},
	{"no reset action", Faults{NoResetAction: true}, act, datapower.ErrUnsupported, 0},
	{"a reset that lies", Faults{LyingReset: true}, act, nil, 0},
	{"no writes", Faults{RefuseWrites: true}, disable, &datapower.APIError{}, 0},
	{"asynchronous", Faults{AsyncActions: true, ActionTime: 50 * time.Millisecond}, act, nil, 1},
	{"asynchronous, processed", Faults{AsyncActions: true, ActionState: "processed"}, act, nil, 1},
	{"asynchronous and forgotten", Faults{AsyncActions: true, ActionState: "gone"}, act, nil, 1},
	{"asynchronous, error", Faults{AsyncActions: true, ActionState: "error"}, act, datapower.ErrActionFailed, 0},
	{"asynchronous, with errors", Faults{AsyncActions: true, ActionState: "processed-with-errors"}, act, datapower.ErrActionFailed, 0},
	{"asynchronous without end", Faults{AsyncActions: true, ActionTime: time.Hour}, act, datapower.ErrActionPending, 1},
}

func TestFaultsAsTheOperatorSeesThem(t *testing.T) {
	for _, test := range faultTests {
		t.Run(test.name, func(t *testing.T) {
			w := newWire(t)
			instance := w.add("10.0.0.1", onePeering)
			instance.SetFaults(test.faults)
			client := w.client(t, "10.0.0.1", func(o *datapower.Options) {
				o.Timeout, o.MaxAnswerBytes = 30*time.Second, 64<<10
				if errors.Is(test.want, datapower.ErrUnreachable) || errors.Is(test.want, datapower.ErrActionPending) {
					o.Timeout, o.Retries, o.ActionTimeout = 2*time.Second, -1, 4*time.Second // time has to run out
				}
			})
			err := test.do(t, client)
			if wanted, is := test.want.(*datapower.APIError); is {
				require.ErrorAs(t, err, &wanted)
			} else {
				require.ErrorIs(t, err, test.want)
			}
			assert.Equal(t, test.resets, instance.Member("apiconnect", "gwd").Resets())
		})
	}
}

func TestServerErrorsCountDown(t *testing.T) {
	w := newWire(t)
	instance := w.add("10.0.0.1", onePeering)
	instance.SetFaults(Faults{ServerErrors: 3})
	client := w.client(t, "10.0.0.1", func(o *datapower.Options) { o.Retries = -1 })
	for range 3 {
		_, err := client.Domains(t.Context())
		require.Error(t, err)
	}
	_, err := client.Domains(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Faults{}, instance.Faults())
}

func TestAKilledGatewayBreaksItsConnections(t *testing.T) {
	w := newWire(t)
	w.add("10.0.0.1", onePeering).SetFaults(Faults{Hang: true})
	client := w.client(t, "10.0.0.1", func(o *datapower.Options) { o.Timeout, o.Retries = time.Minute, -1 })
	done := make(chan error, 1)
	go func() {
		_, err := client.Domains(t.Context())
		done <- err
	}()
	require.Eventually(t, func() bool { return w.Requests().Last() == 1 }, 30*time.Second, time.Millisecond)
	w.kill("10.0.0.1")
	select {
	case err := <-done:
		require.ErrorIs(t, err, datapower.ErrUnreachable)
	case <-time.After(10 * time.Second):
		t.Fatal("the connection outlived its gateway")
	}
}

func TestRequestLog(t *testing.T) {
	w := newWire(t)
	w.add("10.0.0.1", onePeering)
	client := w.client(t, "10.0.0.1")
	require.NoError(t, client.SetAdminState(t.Context(), "apiconnect", "gwd", datapower.Disabled))
	last := w.Requests().Last()
	_, err := client.PeeringStatus(t.Context(), "nowhere")
	require.Error(t, err)
	require.Eventually(t, func() bool {
		log := w.Requests().Since(0)
		return len(log) == 2 && log[1].Status != 0
	}, 30*time.Second, time.Millisecond)
	log := w.Requests().Since(0)
	assert.Equal(t, "gw-10.0.0.1 admin PUT /mgmt/config/apiconnect/GatewayPeering/gwd/mAdminState",
		log[0].Instance+" "+log[0].User+" "+log[0].Method+" "+log[0].Path)
	assert.Equal(t, `{"mAdminState":"disabled"}`, log[0].Body)
	assert.Equal(t, http.StatusOK, log[0].Status)
	assert.Equal(t, http.StatusNotFound, w.Requests().Since(last)[0].Status)
}

func TestLogForgetsTheOldest(t *testing.T) {
	var log RequestLog
	for range maxRequests + 1 {
		log.begin(Request{})
	}
	kept := log.Since(0)
	assert.Less(t, len(kept), maxRequests)
	assert.Equal(t, uint64(maxRequests+1), kept[len(kept)-1].Number)
}
