from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('trading_sessions', '0010_keeps_at_stop'),
    ]

    operations = [
        migrations.AddField(
            model_name='sessionplan',
            name='undecided_day',
            field=models.DateField(help_text='On which it was due and could not start yet: it waits, or its start broke', null=True),
        ),
        migrations.AddIndex(
            model_name='sessionplan',
            index=models.Index(condition=models.Q(('is_enabled', True), ('undecided_day__isnull', False)), fields=['exchange', 'undecided_day'], name='session_plan_undecided'),
        ),
    ]
