from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("lessons", "0002_steps_checks_quizzes")]

    operations = [
        migrations.AddField(
            model_name="student",
            name="language",
            field=models.CharField(blank=True, default="", help_text="that they chose for the pages; empty: as their browser says", max_length=10),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="student",
            name="seed",
            field=models.CharField(blank=True, default="", help_text="of the values that differ from student to student; empty: the key of this row", max_length=20),
            preserve_default=False,
        ),
    ]
