from django.db import migrations

# In a portfolio that needs four eyes, whoever switches a rule on, or points an active one to another version, points it
# to a version that a second person has approved; what was active when four eyes were asked for stays active.
RULES_WAIT = """
CREATE OR REPLACE FUNCTION refuse_rule_without_approval() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    begins boolean := TG_OP = 'INSERT';
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.portfolio_id <> OLD.portfolio_id THEN
            RAISE EXCEPTION 'rule % never changes its portfolio', OLD.id
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        begins := NOT OLD.is_active OR NEW.version <> OLD.version;
    END IF;
    IF NEW.is_active AND EXISTS (
        SELECT FROM rule_versions
        WHERE rule_id = NEW.id AND version = NEW.version AND needs_approval AND approved IS NOT TRUE)
    THEN
        RAISE EXCEPTION 'version % of rule % has not the approval of a second person', NEW.version, NEW.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.is_active AND begins AND portfolio_needs_four_eyes(NEW.portfolio_id) AND NOT EXISTS (
        SELECT FROM rule_versions WHERE rule_id = NEW.id AND version = NEW.version AND approved)
    THEN
        RAISE EXCEPTION 'version % of rule % was approved by nobody and cannot begin to be in force',
            NEW.version, NEW.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$;
"""
# As 0003 has it.
UNDO = """
CREATE OR REPLACE FUNCTION refuse_rule_without_approval() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.portfolio_id <> OLD.portfolio_id THEN
            RAISE EXCEPTION 'rule % never changes its portfolio', OLD.id
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    END IF;
    IF NEW.is_active AND EXISTS (
        SELECT FROM rule_versions
        WHERE rule_id = NEW.id AND version = NEW.version AND needs_approval AND approved IS NOT TRUE)
    THEN
        RAISE EXCEPTION 'version % of rule % has not the approval of a second person', NEW.version, NEW.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('rules', '0003_four_eyes'),
    ]

    operations = [
        migrations.RunSQL(RULES_WAIT, UNDO),
    ]
