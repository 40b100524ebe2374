"""Judges a file of events, one JSON object a line, by the schema of the framework that each names.

    ocsf_judge.py FILE

Prints how many events of which class were good; ends with 1 and the first errors if one is not.
"""

import collections
import json
import sys

import jsonschema
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

by_version = {}
validators = {}
good = collections.Counter()
bad = []
for line in open(sys.argv[1], encoding="utf-8"):
    event = json.loads(line)
    version, uid = event["metadata"]["version"], event["class_uid"]
    if version not in by_version:
        by_version[version] = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=version))
    schema = by_version[version]
    if (version, uid) not in validators:
        name = schema.lookup_class_name_from_uid(class_uid=uid)
        made = schema.get_class_schema(class_name=name, profiles=[])
        validators[version, uid] = jsonschema.Draft202012Validator(made)
    errors = list(validators[version, uid].iter_errors(event))
    for error in errors:
        bad.append(f"{uid}: {'/'.join(map(str, error.absolute_path))}: {error.message[:300]}")
    good[uid] += not errors
print(json.dumps(good))
if bad:
    print("\n".join(bad[:20]), file=sys.stderr)
    sys.exit(1)
