from django.db import migrations

# Decisions and trades point at rule versions for ever. The model refuses a change too, but
# only the database stops a bulk update, another program or a hand at the console.
REFUSE_CHANGES = """
CREATE FUNCTION refuse_rule_version_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rule_versions is immutable: % of version % of rule % refused', TG_OP, OLD.version, OLD.rule_id
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER rule_versions_are_immutable BEFORE UPDATE OR DELETE ON rule_versions
    FOR EACH ROW EXECUTE FUNCTION refuse_rule_version_change();
"""
ALLOW_CHANGES = """
DROP TRIGGER rule_versions_are_immutable ON rule_versions;
DROP FUNCTION refuse_rule_version_change();
"""


class Migration(migrations.Migration):
    dependencies = [("rules", "0001_initial")]

    operations = [migrations.RunSQL(REFUSE_CHANGES, ALLOW_CHANGES)]
