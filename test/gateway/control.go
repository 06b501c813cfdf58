package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/datapower-operator/datapower-operator/test/gateway/peering"
)

// Controlled has instances that a [Control] can change.
type Controlled interface {
	// Instances returns the instances there are now, ordered by name.
	Instances() []*Instance
	// Requests is the log of their requests.
	Requests() *RequestLog
}

// InstanceView is what the control API tells of an instance.
type InstanceView struct {
	Name    string                   `json:"name"`
	Address string                   `json:"address"`
	Ports   []int                    `json:"ports"`
	Faults  Faults                   `json:"faults"`
	Rows    map[string][]peering.Row `json:"rows"` // by "domain/peering"
}

// Control is an HTTP API to make faults and to look, for tests that are not in the same process:
//
//	GET  /instances                      all instances, with faults and rows
//	PUT  /faults[?instance=NAME]         JSON of Faults (durations in nanoseconds) for one instance, or for all
//	GET  /requests[?since=NUMBER]        the request log
//	POST /write?instance=NAME&peering=DOMAIN/NAME&commands=N   data for a primary
//
// It has no authentication, so it belongs on loopback or in a test.
func Control(controlled Controlled) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /instances", func(w http.ResponseWriter, _ *http.Request) {
		views := []InstanceView{}
		for _, instance := range controlled.Instances() {
			views = append(views, viewOf(instance))
		}
		reply(w, views)
	})
	mux.HandleFunc("PUT /faults", func(w http.ResponseWriter, r *http.Request) {
		var faults Faults
		decoder := json.NewDecoder(r.Body)
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&faults); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		onInstances(w, r, controlled, func(instance *Instance) error {
			instance.SetFaults(faults)
			return nil
		})
	})
	mux.HandleFunc("GET /requests", func(w http.ResponseWriter, r *http.Request) {
		since, _ := strconv.ParseUint(r.FormValue("since"), 10, 64)
		reply(w, controlled.Requests().Since(since))
	})
	mux.HandleFunc("POST /write", func(w http.ResponseWriter, r *http.Request) {
		commands, _ := strconv.ParseUint(r.FormValue("commands"), 10, 32)
		onInstances(w, r, controlled, func(instance *Instance) error {
			member := instance.Members()[r.FormValue("peering")]
			if member == nil {
				return fmt.Errorf("%s has no such peering", instance.Name())
			}
			return member.Write(commands)
		})
	})
	return mux
}

// onInstances does something to the instance that a request names, or to all when it names none.
func onInstances(w http.ResponseWriter, r *http.Request, controlled Controlled, do func(*Instance) error) {
	wanted, count := r.FormValue("instance"), 0
	for _, instance := range controlled.Instances() {
		if wanted != "" && wanted != instance.Name() {
			continue
		}
		count++
		if err := do(instance); err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
	}
	if count == 0 {
		http.Error(w, "there is no such instance", http.StatusNotFound)
		return
	}
	reply(w, map[string]int{"instances": count})
}

func viewOf(instance *Instance) InstanceView {
	view := InstanceView{
		Name: instance.Name(), Address: instance.Address(), Ports: instance.Ports(), Faults: instance.Faults(),
		Rows: map[string][]peering.Row{},
	}
	for name, member := range instance.Members() {
		view.Rows[name] = member.Rows()
	}
	return view
}

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // the client is gone when it fails
}
