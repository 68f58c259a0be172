from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("trading_sessions", "0004_plans")]

    operations = [
        migrations.AddField(
            model_name="evaluationrun",
            name="code_version",
            field=models.CharField(db_default="", default="", help_text="Of that worker", max_length=64),
        ),
    ]
