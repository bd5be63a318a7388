"""What only the chapter on task-oriented networks needs: experiments, tables, figures, audit."""
