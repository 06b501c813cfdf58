package gateway

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestControl(t *testing.T) {
	w := newWire(t)
	first, second := w.add("10.0.0.1", onePeering), w.add("10.0.0.2", onePeering)
	handler := Control(w)
	call := func(request, body string) *httptest.ResponseRecorder {
		method, path, _ := strings.Cut(request, " ")
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
		return recorder
	}

	require.Equal(t, http.StatusOK, call("PUT /faults?instance=gw-10.0.0.1", `{"serverErrors":2,"slow":5000000}`).Code)
	assert.Equal(t, 2, first.Faults().ServerErrors)
	assert.Equal(t, int64(5), first.Faults().Slow.Milliseconds())
	assert.Equal(t, Faults{}, second.Faults())
	require.Equal(t, http.StatusOK, call("PUT /faults", `{}`).Code)
	assert.Equal(t, Faults{}, first.Faults())
	assert.Equal(t, http.StatusBadRequest, call("PUT /faults", `{"typo":true}`).Code)
	assert.Equal(t, http.StatusNotFound, call("PUT /faults?instance=none", `{}`).Code)

	w.ask(t, "10.0.0.1", admin, adminPassword, "GET /mgmt/", "")
	var requests []Request
	require.NoError(t, json.Unmarshal(call("GET /requests?since=0", "").Body.Bytes(), &requests))
	require.Len(t, requests, 1)
	assert.Equal(t, "/mgmt/", requests[0].Path)

	eventually(t, w.client(t, "10.0.0.1"), "10.0.0.1 ok primary, 10.0.0.2 ok")
	require.Equal(t, http.StatusOK, call("POST /write?instance=gw-10.0.0.1&peering=apiconnect/gwd&commands=3", "").Code)
	assert.Equal(t, http.StatusConflict, call("POST /write?instance=gw-10.0.0.2&peering=apiconnect/gwd&commands=3", "").Code, "no primary")
	assert.Equal(t, http.StatusConflict, call("POST /write?instance=gw-10.0.0.1&peering=none&commands=3", "").Code)

	var views []InstanceView
	require.NoError(t, json.Unmarshal(call("GET /instances", "").Body.Bytes(), &views))
	require.Len(t, views, 2)
	assert.Equal(t, "gw-10.0.0.1", views[0].Name)
	assert.Len(t, views[0].Rows["apiconnect/gwd"], 2)
	assert.ElementsMatch(t, []int{7879, 5554, 16380}, views[0].Ports)
}
