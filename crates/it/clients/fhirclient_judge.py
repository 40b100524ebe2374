"""fhirclient (PyPI) against a FHIR base: python fhirclient_judge.py BASE TOKEN"""

import sys

from fhirclient import client
from fhirclient.auth import FHIRAuth
from fhirclient.models.bundle import Bundle
from fhirclient.models.fhirabstractbase import FHIRValidationError
from fhirclient.models.humanname import HumanName
from fhirclient.models.patient import Patient

base, token = sys.argv[1:]


smart = client.FHIRClient(settings={"app_id": "judge", "api_base": base + "/"})
server = smart.server
# open to everyone
assert server.capabilityStatement.fhirVersion == "4.0.1"
# A service has its token already; the client's own way to one is for people with a browser.
server.auth = FHIRAuth.create("oauth2", {"app_id": "judge", "access_token": token})


def patient(family):
    made = Patient()
    made.name = [HumanName({"family": family, "given": ["Ada"]})]
    made.birthDate = None
    return made


# create, read
created = patient("Created")
answer = created.create(server)
assert answer and answer["id"], answer
read = Patient.read(answer["id"], server)
assert read.name[0].family == "Created"
assert read.meta.versionId == "1", read.meta.as_json()

# update
read.name[0].family = "Updated"
read.update(server)
again = Patient.read(read.id, server)
assert again.name[0].family == "Updated" and again.meta.versionId == "2"

# search with paging
for _ in range(7):
    patient("Paged").create(server)
search = Patient.where({"family": "paged", "_count": "3"})
found = [p.id for p in search.perform_resources_iter(server)]
assert len(found) == len(set(found)) == 7, found

# transaction
transaction = Bundle({
    "resourceType": "Bundle",
    "type": "transaction",
    "entry": [
        {
            "fullUrl": "urn:uuid:7e6b1b0e-1b1f-4e2c-9a52-5a9b5ff8f7a1",
            "resource": patient("Transacted").as_json(),
            "request": {"method": "POST", "url": "Patient"},
        },
        {
            "fullUrl": "urn:uuid:7e6b1b0e-1b1f-4e2c-9a52-5a9b5ff8f7a2",
            "resource": {
                "resourceType": "Observation",
                "status": "final",
                "code": {"text": "weight"},
                "subject": {"reference": "urn:uuid:7e6b1b0e-1b1f-4e2c-9a52-5a9b5ff8f7a1"},
            },
            "request": {"method": "POST", "url": "Observation"},
        },
    ],
})
result = server.post_json("", transaction.as_json()).json()
result = Bundle(result)
assert result.type == "transaction-response"
assert [e.response.status[:3] for e in result.entry] == ["201", "201"], result.as_json()

# what the server refuses, the client can read
try:
    Patient.read("not-there", server)
    raise AssertionError("read what is not there")
except Exception as error:
    assert "404" in str(getattr(getattr(error, "response", None), "status_code", error)), error
assert FHIRValidationError
