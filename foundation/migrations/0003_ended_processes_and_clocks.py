from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("foundation", "0002_tokens_and_answers"),
    ]

    operations = [
        migrations.AddField(
            model_name="heartbeat",
            name="ended",
            field=models.BooleanField(db_default=False, help_text="it ended as it was told to"),
        ),
        migrations.AddField(
            model_name="heartbeat",
            name="clock_ahead_seconds",
            field=models.FloatField(
                blank=True,
                help_text="by how much its machine's clock is ahead of the database's at least; below 0: behind",
                null=True,
            ),
        ),
    ]
