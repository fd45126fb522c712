#ifndef SPEC_LITERAL_H
#define SPEC_LITERAL_H

/*
 * literal -- the text that a scalar of a job becomes.
 *
 * Azure ML reads the YAML with PyYAML's safe loader (YAML 1.1) and sends
 * str() of the Python value as a literal input: true becomes "True", 1.50
 * becomes "1.5", 0x10 becomes "16"; quoted text stays.  Not followed: base 60
 * (1:30) and dates, which stay as written.
 *
 * Sources: Azure/azure-sdk-for-python sdk/ml/azure-ai-ml/azure/ai/ml/_utils/utils.py
 * (load_yaml: yaml.safe_load), entities/_job/_input_output_helpers.py
 * (to_rest_dataset_literal_inputs: LiteralJobInput(value=str(input_value))),
 * _schema/job/input_output_fields_provider.py (booleans stay booleans);
 * yaml/pyyaml lib/yaml/resolver.py (what is a number).
 */

#include "base/mem.h"
#include "spec/yaml.h"

/* A scalar that is not null. */
const char *literal_text(const struct yaml_node *, struct arena *);

#endif
