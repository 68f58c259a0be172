from django.db import migrations

# Who keeps the program of a portfolio's rules learns from its revision whether it is the newest. Whoever changes rules
# has locked the portfolio; a statement that changes rules of many locks them in the order of their ids.
COUNT_CHANGES = """
CREATE FUNCTION count_rule_changes() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_TABLE_NAME = 'trading_rules' THEN
        PERFORM FROM portfolios_portfolio WHERE id IN (SELECT portfolio_id FROM changed)
            ORDER BY id FOR NO KEY UPDATE;
        UPDATE portfolios_portfolio SET rules_revision = rules_revision + 1
            WHERE id IN (SELECT portfolio_id FROM changed);
    ELSE
        PERFORM FROM portfolios_portfolio WHERE id IN (
            SELECT portfolio_id FROM trading_rules WHERE id IN (SELECT rule_id FROM changed)
        ) ORDER BY id FOR NO KEY UPDATE;
        UPDATE portfolios_portfolio SET rules_revision = rules_revision + 1 WHERE id IN (
            SELECT portfolio_id FROM trading_rules WHERE id IN (SELECT rule_id FROM changed));
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER trading_rules_counted_when_made AFTER INSERT ON trading_rules
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_rule_changes();
CREATE TRIGGER trading_rules_counted_when_changed AFTER UPDATE ON trading_rules
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_rule_changes();
CREATE TRIGGER trading_rules_counted_when_removed AFTER DELETE ON trading_rules
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_rule_changes();
CREATE TRIGGER rule_versions_counted_when_made AFTER INSERT ON rule_versions
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_rule_changes();
CREATE TRIGGER rule_versions_counted_when_decided AFTER UPDATE ON rule_versions
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_rule_changes();
"""
UNDO = """
DROP TRIGGER rule_versions_counted_when_decided ON rule_versions;
DROP TRIGGER rule_versions_counted_when_made ON rule_versions;
DROP TRIGGER trading_rules_counted_when_removed ON trading_rules;
DROP TRIGGER trading_rules_counted_when_changed ON trading_rules;
DROP TRIGGER trading_rules_counted_when_made ON trading_rules;
DROP FUNCTION count_rule_changes();
"""


class Migration(migrations.Migration):
    dependencies = [("rules", "0004_activation_needs_approval"), ("portfolios", "0010_revisions")]

    operations = [migrations.RunSQL(COUNT_CHANGES, UNDO)]
