from reference.method_fixtures import fit as fit
from reference.method_fixtures import policy_options as policy_options
from reference.method_fixtures import rollout_options as rollout_options
from reference.method_fixtures import small_data as small_data
