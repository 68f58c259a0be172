from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("journal", "0001_initial"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="alertdelivery",
            index=models.Index(
                fields=["channel"], condition=models.Q(("state", "failed")), name="journal_delivery_failed"
            ),
        ),
    ]
