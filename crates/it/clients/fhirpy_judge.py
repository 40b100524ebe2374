"""fhirpy (PyPI) against a FHIR base: python fhirpy_judge.py BASE TOKEN"""

import sys

from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import ResourceNotFound

base, token = sys.argv[1:]
client = SyncFHIRClient(base, authorization=f"Bearer {token}")


def patient(family):
    return client.resource("Patient", name=[{"family": family, "given": ["Grace"]}])


# create, read
created = patient("Created")
created.save()
assert created.id
read = client.reference("Patient", created.id).to_resource()
assert read["name"][0]["family"] == "Created"
assert read["meta"]["versionId"] == "1"

# update
read["name"][0]["family"] = "Updated"
read.save()
again = client.resources("Patient").search(_id=read.id).get()
assert again["name"][0]["family"] == "Updated" and again["meta"]["versionId"] == "2"

# search with paging
for _ in range(7):
    patient("Paged").save()
pages = client.resources("Patient").search(family="paged").limit(3)
found = [p.id for p in pages.fetch_all()]
assert len(found) == len(set(found)) == 7, found
assert pages.count() == 7

# transaction
result = client.execute(
    "",
    method="post",
    data={
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": "urn:uuid:7e6b1b0e-1b1f-4e2c-9a52-5a9b5ff8f7b1",
                "resource": patient("Transacted").serialize(),
                "request": {"method": "POST", "url": "/Patient"},
            },
            {
                "fullUrl": "urn:uuid:7e6b1b0e-1b1f-4e2c-9a52-5a9b5ff8f7b2",
                "resource": {
                    "resourceType": "Observation",
                    "status": "final",
                    "code": {"text": "weight"},
                    "subject": {"reference": "urn:uuid:7e6b1b0e-1b1f-4e2c-9a52-5a9b5ff8f7b1"},
                },
                "request": {"method": "POST", "url": "/Observation"},
            },
        ],
    },
)
assert [e["response"]["status"][:3] for e in result["entry"]] == ["201", "201"], result

# what the server refuses, the client can read
try:
    client.reference("Patient", "not-there").to_resource()
    raise AssertionError("read what is not there")
except ResourceNotFound:
    pass

# delete
client.resources("Patient").search(_id=found[0]).get()
extra = patient("Created")
extra.save()
extra.delete()
