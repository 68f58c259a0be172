from django.db import migrations

import trading.models.columns


class Migration(migrations.Migration):
    """Of the state only: the column stays as it is."""

    dependencies = [
        ('trading', '0013_session_performance'),
    ]

    operations = [
        migrations.AlterField(
            model_name='decision',
            name='checks',
            field=trading.models.columns.FindingsField(default=list, help_text='Each risk control with its value and limit'),
        ),
    ]
