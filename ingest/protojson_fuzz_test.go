package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	_ "google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"reckoner"
)

// createMessage is the original's message, so that protojson itself can be asked.
func createMessage(t testing.TB) protoreflect.MessageDescriptor {
	t.Helper()
	var number int32
	field := func(name string, typ descriptorpb.FieldDescriptorProto_Type, of string) *descriptorpb.FieldDescriptorProto {
		number++
		f := &descriptorpb.FieldDescriptorProto{Name: &name, Number: proto.Int32(number), Type: &typ, Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
		if of != "" {
			f.TypeName = &of
		}
		return f
	}
	const text, message = descriptorpb.FieldDescriptorProto_TYPE_STRING, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
	usages := field("usages", message, ".f.Usage")
	usages.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
	file := &descriptorpb.FileDescriptorProto{
		Name: proto.String("f.proto"), Package: proto.String("f"), Syntax: proto.String("proto3"),
		Dependency: []string{"google/protobuf/struct.proto", "google/protobuf/timestamp.proto"},
		MessageType: []*descriptorpb.DescriptorProto{
			{Name: proto.String("Usage"), Field: []*descriptorpb.FieldDescriptorProto{
				field("id", text, ""), field("customer_id", text, ""), field("source", text, ""), field("description", text, ""), field("type", text, ""),
				field("amount", descriptorpb.FieldDescriptorProto_TYPE_INT64, ""), field("user_id", text, ""),
				field("metadata", message, ".google.protobuf.Struct"), field("created_at", message, ".google.protobuf.Timestamp"),
				field("updated_at", message, ".google.protobuf.Timestamp"),
			}},
			{Name: proto.String("Create"), Field: []*descriptorpb.FieldDescriptorProto{
				field("org_id", text, ""), field("billing_id", text, ""), field("project_id", text, ""), usages,
			}},
		},
	}
	d, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return d.Messages().ByName("Create")
}

// FuzzParseCreate: whatever comes, the parser neither panics nor says more than a few words; what it accepts, protojson
// accepts with the same meaning; what it refuses, protojson refuses too, apart from what is listed in stricter.
func FuzzParseCreate(f *testing.F) {
	for _, body := range []string{
		"", "{}", `{"usages":[{"amount":"5e2","id":"` + usageID + `","metadata":{"a":[1,{"b":null}]},"createdAt":"2026-01-01T00:00:00.5+01:00"}]}`,
		`{"org_id":"a","orgId":null}`, `{"usages":[null]}`, `{"x":{"y":1,"y":2}}`, `null`, `[]`, `{"usages":[{"amount":5.50e1}]}`, "{\"org_id\":\"\\ud83d\\ude00\xff\"}",
		usagesBody(3), `{"usages":[{"amount":9223372036854775808}]}`, `{"usages":[{"created_at":"2026-01-01T00:00:00,5Z"}]}`,
	} {
		f.Add([]byte(body))
	}
	descriptor := createMessage(f)
	limits := DefaultLimits()
	f.Fuzz(func(t *testing.T, body []byte) {
		given := bytes.Clone(body)
		m, err := parseCreate(body, &limits, &scratch{})
		if !bytes.Equal(given, body) {
			t.Fatal("the parser changed its input")
		}
		theirs := dynamicpb.NewMessage(descriptor)
		theirErr := protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(given, theirs)
		if err != nil {
			if e, ok := errors.AsType[*reckoner.Error](err); !ok || e.Code != reckoner.Invalid || len(e.Message) > 600 {
				t.Fatalf("%.700v", err)
			}
			if theirErr == nil && !stricter(given, err) {
				t.Fatalf("refused with %v; protojson takes it", err)
			}
			return
		}
		if theirErr != nil {
			if !laxer(given) {
				t.Fatalf("accepted; protojson says %v", theirErr)
			}
			return
		}
		compare(t, &m, theirs)
	})
}

// stricter names what is refused on purpose though protojson takes it: keys repeated where it does not look, more than
// the limits, and times that are not of RFC 3339.
func stricter(body []byte, err error) bool {
	for _, why := range []string{"the key is repeated", "more than ", "a time as RFC 3339", "no more than"} {
		if strings.Contains(err.Error(), why) {
			return true
		}
	}
	return !json.Valid(body) // what it skips as unknown it does not look into
}

var (
	farExponent = regexp.MustCompile(`[eE][+-]?[0-9]{3}`)
	numberLike  = regexp.MustCompile(`[0-9]`)
)

// laxer names what is accepted on purpose though protojson refuses it: an empty body, and numbers in metadata that a
// float does not hold. It also gives up on numbers with exponents that only write a zero.
func laxer(body []byte) bool {
	return len(bytes.TrimSpace(body)) == 0 || farExponent.Match(body) || bytes.Contains(body, []byte("etadata")) && numberLike.Match(body)
}

func compare(t *testing.T, m *createRequest, theirs *dynamicpb.Message) {
	get := func(msg protoreflect.Message, name string) protoreflect.Value {
		return msg.Get(msg.Descriptor().Fields().ByName(protoreflect.Name(name)))
	}
	ours := map[string]string{"org_id": m.org, "billing_id": m.billing, "project_id": m.project}
	for name, text := range ours {
		if got := get(theirs, name).String(); got != text {
			t.Fatalf("%s is %q, of protojson %q", name, text, got)
		}
	}
	usages := get(theirs, "usages").List()
	if usages.Len() != len(m.usages) {
		t.Fatalf("%d usages, of protojson %d", len(m.usages), usages.Len())
	}
	for i := range m.usages {
		u, msg := &m.usages[i], usages.Get(i).Message()
		for name, text := range map[string]string{
			"id": u.id, "customer_id": u.customerID, "source": u.source, "description": u.description, "type": u.typ, "user_id": u.userID,
		} {
			if got := get(msg, name).String(); got != text {
				t.Fatalf("%s is %q, of protojson %q", name, text, got)
			}
		}
		if got := get(msg, "amount").Int(); got != u.amount {
			t.Fatalf("amount is %d, of protojson %d", u.amount, got)
		}
		compareTime(t, u.createdAt, msg, "created_at")
		compareTime(t, u.updatedAt, msg, "updated_at")
		var values map[string]any
		if err := json.Unmarshal(metadataJSON(u.metadata), &values); err != nil || len(values) != len(u.metadata) {
			t.Fatalf("metadata %v comes out as %s: %v", u.metadata, metadataJSON(u.metadata), err)
		}
	}
}

func compareTime(t *testing.T, ours time.Time, msg protoreflect.Message, name protoreflect.Name) {
	f := msg.Descriptor().Fields().ByName(name)
	if !msg.Has(f) {
		if !ours.IsZero() {
			t.Fatalf("%s is %s, of protojson absent", name, ours)
		}
		return
	}
	b, err := proto.Marshal(msg.Get(f).Message().Interface())
	if err != nil {
		t.Fatal(err)
	}
	var stamp timestamppb.Timestamp
	if err := proto.Unmarshal(b, &stamp); err != nil || !stamp.AsTime().Equal(ours) {
		t.Fatalf("%s is %s, of protojson %s, %v", name, ours, stamp.AsTime(), err)
	}
}
