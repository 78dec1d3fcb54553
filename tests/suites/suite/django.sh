# Django's tests of everything that touches the database.

databases=(django)

# The applications whose tests are about the database.
labels=(
  aggregation aggregation_regress annotations backends basic bulk_create cache composite_pk constraints contenttypes_tests
  custom_columns custom_lookups custom_managers custom_methods custom_pk datatypes dates datetimes db_functions db_typecasts db_utils
  defer defer_regress delete delete_regress distinct_on_fields empty empty_models expressions expressions_case
  expressions_window extra_regress field_defaults field_deconstruction field_subclassing filtered_relation fixtures fixtures_model_package
  fixtures_regress force_insert_update foreign_object from_db_value generic_relations generic_relations_regress
  get_earliest_or_latest get_object_or_404 get_or_create indexes inline_formsets inspectdb introspection
  invalid_models_tests known_related_objects lookup m2m_and_m2o m2m_intermediary m2m_multiple m2m_recursive m2m_regress m2m_signals
  m2m_through m2m_through_regress m2o_recursive managers_regress many_to_many many_to_one many_to_one_null
  max_lengths migrate_signals migration_test_data_persistence migrations migrations2 model_enums model_fields model_indexes model_inheritance
  model_inheritance_regress model_meta model_options model_package model_regress model_utils multiple_database
  mutually_referential nested_foreign_keys null_fk null_fk_ordering null_queries one_to_one or_lookups order_with_respect_to
  ordering prefetch_related properties proxy_model_inheritance proxy_models queries queryset_pickle raw_query reserved_names
  reverse_lookup save_delete_hooks schema select_for_update select_related select_related_onetoone
  select_related_regress serializers sessions_tests signals string_lookup swappable_models test_utils timezones transaction_hooks
  transactions unmanaged_models update update_only_fields validation xor_lookups
)

prepare() {
  pypi_source django 5.2.8
  venv django "$source" 'mysqlclient==2.2.7' 'tblib==3.2.2'
}

run_suite() {
  cp -r "$source/tests" .
  cp "$here/django_settings.py" "$here/django_runner.py" tests/
  local known=() label
  for label in "${labels[@]}"; do [ ! -d "tests/$label" ] || known+=("$label"); done
  (cd tests && SUITE_HOST=$host SUITE_PORT=$port SUITE_USER=$user SUITE_PASSWORD=$password SUITE_RESULTS=$results \
    "$python" runtests.py --settings=django_settings --parallel=1 --noinput -v 1 "${known[@]}")
}
