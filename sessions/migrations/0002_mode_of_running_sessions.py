"""Sessions that run on real money when `mode` comes into the config have it said for them: it is left out for paper."""

from django.db import migrations

SQL = """
    UPDATE trading_sessions AS session SET config = session.config || '{"mode": "live"}'::jsonb
    FROM portfolios_brokeraccount AS account
    WHERE account.portfolio_id = session.portfolio_id AND account.is_live AND session.status <> 'stopped'
"""


class Migration(migrations.Migration):

    dependencies = [
        ('trading_sessions', '0001_initial'),
        ('portfolios', '0007_broker_accounts_and_credentials'),
    ]

    operations = [migrations.RunSQL(SQL, migrations.RunSQL.noop)]
