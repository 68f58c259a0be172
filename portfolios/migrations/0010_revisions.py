from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("portfolios", "0009_equity_points")]

    operations = [
        migrations.AddField(
            model_name="portfolio",
            name="rules_revision",
            field=models.BigIntegerField(
                db_default=0,
                default=0,
                editable=False,
                help_text="Grows with each change of its rules, by triggers on them",
            ),
        ),
        migrations.AddField(
            model_name="portfolio",
            name="books_revision",
            field=models.BigIntegerField(
                db_default=0,
                default=0,
                editable=False,
                help_text="Grows with each change of its cash, positions, reserves",
            ),
        ),
        migrations.AddIndex(
            model_name="limitset",
            index=models.Index(fields=["max_daily_loss_percentage"], name="limit_sets_by_daily_loss"),
        ),
        migrations.AddIndex(
            model_name="limitset",
            index=models.Index(fields=["max_drawdown_percentage"], name="limit_sets_by_drawdown"),
        ),
    ]
