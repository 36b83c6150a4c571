package api

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"

	"parley/internal/app"
)

var (
	//go:embed description.html
	pageText string
	//go:embed description.css
	pageStyle []byte

	pageTemplate = template.Must(template.New("description").Parse(pageText))
)

// addDescription serves what the API is, as it was when all operations were there: for programs as JSON and YAML, for people as a
// page that loads nothing but its style.
func (a *API) addDescription(r chi.Router) {
	description := a.huma.OpenAPI()
	inJSON, err := json.MarshalIndent(description, "", "\t")
	if err != nil {
		panic(err) // it is made of code alone
	}
	inYAML, err := description.YAML()
	if err != nil {
		panic(err)
	}
	var page bytes.Buffer
	if err := pageTemplate.Execute(&page, describe(description)); err != nil {
		panic(err)
	}
	for path, file := range map[string]struct {
		kind    string
		content []byte
	}{
		"/openapi.json":    {"application/openapi+json", inJSON},
		"/openapi.yaml":    {"application/openapi+yaml", inYAML},
		"/":                {"text/html; charset=utf-8", page.Bytes()},
		"/description.css": {"text/css; charset=utf-8", pageStyle},
	} {
		serve := func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", file.kind)
			w.Header().Set("Cache-Control", "no-cache")
			w.Write(file.content)
		}
		r.Get(path, serve)
		r.Head(path, serve)
	}
}

// What the template is given.
type (
	pageView struct {
		Title, Text string
		Scopes      []scopeView
		Groups      []groupView
	}
	scopeView struct{ Name, Text string }
	groupView struct {
		Name       string
		Operations []operationView
	}
	operationView struct {
		ID, Method, Path, Summary, Text, Scope string
		Ways                                   string // who may ask
		Parameters, Body                       []fieldView
		Answers                                []answerView
	}
	answerView struct {
		Status, Text string
		Fields       []fieldView
	}
	fieldView struct {
		Name, Type, Text string
		Required         bool
	}
)

func describe(api *huma.OpenAPI) pageView {
	v := pageView{Title: api.Info.Title, Text: api.Info.Description}
	for name, text := range app.Grantable {
		v.Scopes = append(v.Scopes, scopeView{string(name), text})
	}
	slices.SortFunc(v.Scopes, func(a, b scopeView) int { return strings.Compare(a.Name, b.Name) })
	for path, item := range api.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Delete} {
			if op == nil {
				continue
			}
			i := slices.IndexFunc(v.Groups, func(g groupView) bool { return g.Name == op.Tags[0] })
			if i < 0 {
				i = len(v.Groups)
				v.Groups = append(v.Groups, groupView{Name: op.Tags[0]})
			}
			v.Groups[i].Operations = append(v.Groups[i].Operations, describeOperation(api, path, op))
		}
	}
	slices.SortFunc(v.Groups, func(a, b groupView) int { return strings.Compare(a.Name, b.Name) })
	for _, g := range v.Groups {
		slices.SortFunc(g.Operations, func(a, b operationView) int {
			return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Method, b.Method))
		})
	}
	return v
}

func describeOperation(api *huma.OpenAPI, path string, op *huma.Operation) operationView {
	scope, _ := op.Metadata[scopeOf].(app.Scope)
	o := operationView{ID: op.OperationID, Method: op.Method, Path: Prefix + path, Summary: op.Summary, Text: op.Description, Scope: string(scope), Ways: "a login, or the key of an application"}
	switch scope {
	case open:
		o.Scope, o.Ways = "", "anybody"
	case app.Self:
		o.Scope, o.Ways = "", "a login"
	}
	for _, p := range op.Parameters {
		o.Parameters = append(o.Parameters, fieldView{p.Name, typeOf(p.Schema), cmp.Or(p.Description, p.Schema.Description), p.Required})
	}
	if op.RequestBody != nil {
		for _, content := range op.RequestBody.Content {
			o.Body = fields(api, content.Schema, "")
		}
	}
	for status, answer := range op.Responses {
		a := answerView{Status: status, Text: answer.Description}
		if content := answer.Content["application/json"]; content != nil {
			a.Fields = fields(api, content.Schema, "")
		}
		o.Answers = append(o.Answers, a)
	}
	slices.SortFunc(o.Answers, func(a, b answerView) int { return strings.Compare(a.Status, b.Status) })
	return o
}

// fields are the members of an object, or of the objects of a list, those of objects inside it with it.
func fields(api *huma.OpenAPI, s *huma.Schema, below string) (list []fieldView) {
	if s = resolve(api, s); s.Type == huma.TypeArray {
		return fields(api, s.Items, below+"[].")
	}
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range s.Properties {
			if !yield(name) {
				return
			}
		}
	}) {
		p := resolve(api, s.Properties[name])
		list = append(list, fieldView{below + name, typeOf(p), cmp.Or(s.Properties[name].Description, p.Description), slices.Contains(s.Required, name)})
		if p.Type == huma.TypeObject && len(p.Properties) > 0 {
			list = append(list, fields(api, p, below+name+".")...)
		} else if p.Type == huma.TypeArray && resolve(api, p.Items).Type == huma.TypeObject {
			list = append(list, fields(api, p, below+name)...)
		}
	}
	return list
}

func resolve(api *huma.OpenAPI, s *huma.Schema) *huma.Schema {
	if s.Ref != "" {
		return api.Components.Schemas.SchemaFromRef(s.Ref)
	}
	return s
}

func typeOf(s *huma.Schema) string {
	switch {
	case s.Ref != "":
		return "object"
	case len(s.Enum) > 0:
		var words []string
		for _, e := range s.Enum {
			words = append(words, fmt.Sprint(e))
		}
		return strings.Join(words, ", ")
	case s.Type == huma.TypeArray:
		return "list of " + typeOf(s.Items)
	case s.Format == "date-time":
		return "time"
	}
	return s.Type
}
