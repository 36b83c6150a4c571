package pubsub

import (
	goflag "flag"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestAgainstAModel publishes, retracts, purges and configures at random and compares what a contact is told, and what can be
// read, with a model: a slice of items and the two numbers of the configuration.
func TestAgainstAModel(t *testing.T) {
	if checks := goflag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		checks.Value.Set("25") // each of them waits for the disk some dozen times
		defer checks.Value.Set(checks.DefValue)
	}
	w := shakespeare(t)
	s, nurse1 := w.login("juliet@capulet.lit/b"), w.login("nurse@capulet.lit/1", "n")
	rapid.Check(t, func(t *rapid.T) {
		s.iq("set", "", owning("<delete node='n'/>"))
		nurse1.take()
		type item struct{ id, payload string }
		var model []item
		exists, most, persist := false, 1, true
		gone := func(id string) bool {
			before := len(model)
			model = slices.DeleteFunc(model, func(i item) bool { return i.id == id })
			return len(model) < before
		}
		trim := func() {
			if !persist {
				model = nil
			}
			if most > 0 && len(model) > most {
				model = model[len(model)-most:]
			}
		}
		told := func(want string) {
			t.Helper()
			if got := strings.Join(nurse1.take(), "\n"); got != want {
				t.Fatalf("told %s\nwant %s", got, want)
			}
		}
		for step := range rapid.IntRange(1, 8).Draw(t, "steps") {
			id := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "id")
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0, 1, 2:
				payload := fmt.Sprintf("<p xmlns='u:p'>%d</p>", step)
				s.ok("set", "", publishing("n", id, payload))
				exists = true
				gone(id)
				model = append(model, item{id, payload})
				trim()
				told(eventOf(juliet, "<items node='n'><item id='"+id+"'>"+payload+"</item></items>"))
			case 3:
				answer := s.iq("set", "", "<pubsub xmlns='"+NS+"'><retract node='n'><item id='"+id+"'/></retract></pubsub>")
				if ok := exists && persist && gone(id); ok != strings.Contains(answer, "type='result'") {
					t.Fatalf("answered %s", answer)
				} else if ok {
					told(eventOf(juliet, "<items node='n'><retract id='"+id+"'/></items>"))
				}
			case 4:
				answer := s.iq("set", "", owning("<purge node='n'/>"))
				if ok := exists && persist; ok != strings.Contains(answer, "type='result'") {
					t.Fatalf("answered %s", answer)
				} else if ok {
					model = nil
					told(eventOf(juliet, "<purge node='n'/>"))
				}
			case 5:
				number := rapid.SampledFrom([]string{"1", "2", "3", "max"}).Draw(t, "max")
				kept := rapid.SampledFrom([]string{"1", "1", "1", "0"}).Draw(t, "persist")
				answer := s.iq("set", "", configuring("n", "pubsub#max_items", number, "pubsub#persist_items", kept))
				if exists != strings.Contains(answer, "type='result'") {
					t.Fatalf("answered %s", answer)
				}
				if exists {
					most, persist = 0, kept == "1"
					fmt.Sscan(number, &most)
					trim()
				}
			}
			told("")
			want := "<error "
			if exists {
				want = "<items node='n'>"
				for _, i := range model {
					want += "<item id='" + i.id + "'>" + i.payload + "</item>"
				}
				want += "</items>"
			}
			if got := nurse1.iq("get", juliet, asking("n", "/>")); !strings.Contains(got, want) {
				t.Fatalf("there is %s\nwant %s", got, want)
			}
		}
	})
}
